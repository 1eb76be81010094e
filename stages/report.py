"""Stage `report`: the page about everything that was made and measured; run by `dvc repro report`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthpairs.arms import Arm, CodeArm
from synthpairs.distributions.page import section as distributions_section
from synthpairs.diversity.page import markdown
from synthpairs.embeddings.mixing import generated_pairs, real_pairs
from synthpairs.experiments.noise_seeds_page import answers as noise_seeds_answers
from synthpairs.experiments.seeds_page import answers as seeds_answers
from synthpairs.experiments.strategies_page import answers as strategies_answers
from synthpairs.params import load_params
from synthpairs.perplexity.page import section as perplexity_section
from synthpairs.preference.page import section as preference_section
from synthpairs.realpairs.decoding import pictures
from synthpairs.realpairs.params import Pairs
from synthpairs.report.codes import read_codes
from synthpairs.report.findings import Ranking, funnel
from synthpairs.report.graph import read_stages
from synthpairs.report.inputs import read_inputs, read_json
from synthpairs.report.page import Sections, build
from synthpairs.report.params import Report
from synthpairs.report.plotted import plot_tables
from synthpairs.report.synth2 import synth2
from synthpairs.report.tables import FIGURES
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes
from synthpairs.tracking import run_stage, stage_run

DATA, OUT = Path("data"), Path("reports")


def main() -> None:
    """Write reports/README.md and the pictures beside it."""
    params, select, pairs = load_params(Report, "report"), load_params(Select, "select"), load_params(Pairs, "pairs")
    arms, code_arms = load_params(list[Arm], "arms"), load_params(list[CodeArm], "code_arms")
    weights = {"clip_weight": select.clip_weight * select.clip_scale, "ssim_weight": select.ssim_weight}

    def paint(keys: Sequence[str]) -> list[bytes]:
        known = {pair.key: pair.codes for pair in (*generated_pairs(DATA / "embedded"), *real_pairs(DATA / "pairs"))}
        return pictures([known[key] for key in keys], Path(pairs.tokenizer), "params.yaml: pairs.tokenizer")

    def experiment(name: str, key: str) -> dict[str, Any]:
        return read_json(OUT / f"experiments/{name}.json", "make experiments", [key])

    with stage_run("report", params) as run:
        started = time.monotonic()
        stages, codes = read_stages(Path("dvc.yaml"), Path("params.yaml")), read_codes(code_arms)
        route, drawn = synth2(codes, markdown(codes.diversity), paint, params)
        ranking = Ranking(strategy=select.strategy, fusion=select.fusion, **weights)
        inputs = read_inputs(arms)
        sections = Sections(
            strategies=strategies_answers(experiment("strategies", "studies")["studies"]),
            seeds=seeds_answers(experiment("seeds", "benchmarks")),
            noise_seeds=noise_seeds_answers(experiment("noise_seeds", "paintings")["paintings"]),
            preference=preference_section(read_json(OUT / "preference.json", "dvc repro preference", ["not_asked"])),
            perplexity=perplexity_section(
                read_json(OUT / "perplexity.json", "dvc repro perplexity", ["left_out"]), inputs.results
            ),
            distributions=distributions_section(
                read_json(OUT / "distributions.json", "dvc repro distributions", ["captions_with_both"])
            ),
            synth2=route,
        )
        page, figures = build(inputs, sections, stages, ranking, params, DATA)
        drawn |= figures
        for stale in sorted((OUT / FIGURES).glob("*.png")):
            if stale.name not in drawn:
                stale.unlink()
        for name, payload in drawn.items():
            write_bytes(OUT / FIGURES / name, payload)
        for name, payload in plot_tables(inputs, funnel(inputs)).items():
            write_bytes(OUT / "plots" / name, payload)
        write_bytes(OUT / "README.md", page.encode())
        run.log({"pictures": len(drawn)}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
