"""Stage `report`: the page about everything that was made and measured; run by `dvc repro report`."""

from synthpairs.captions.params import CaptionParams
from synthpairs.core.arms import Arm, TokenArm
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.language.params import GgufSource
from synthpairs.report.params import Report
from synthpairs.report.write import write_report
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Vlm


@stage(metrics="reports/headline.json")
def main(
    report: Report,
    select: Select,
    captions: CaptionParams,
    language_model: GgufSource,
    vlm: Vlm,
    encode_real_pairs: RealPairs,
    arms: list[Arm],
    token_arms: list[TokenArm],
) -> Result:
    """Write reports/README.md, the figures that it shows and the tables behind `dvc plots`."""
    return write_report(report, select, captions, language_model, vlm, encode_real_pairs, arms, token_arms)


if __name__ == "__main__":
    run_stage(main)
