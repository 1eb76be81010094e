"""Stage `export`: the selection as WebDataset shards, LLaVA JSON and dataset card; run by `dvc repro export`."""

from pathlib import Path

from synthpairs.captions.params import CaptionParams
from synthpairs.core.arms import Arm
from synthpairs.core.storage import write_bytes
from synthpairs.models.language.params import GgufSource
from synthpairs.report.dataset_card import dataset_card
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.export import export_selection
from synthpairs.selection.params import Select


@stage()
def main(select: Select, captions: CaptionParams, language_model: GgufSource, arms: list[Arm]) -> Result:
    """Write data/export."""
    data, out = Path("data"), Path("data/export")
    write_bytes(out / "README.md", dataset_card(select, captions, language_model, arms, data).encode())
    return {"pairs": export_selection(select.samples_per_shard, data, out)}


if __name__ == "__main__":
    run_stage(main)
