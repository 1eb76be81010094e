"""Files of the report: the page, its figures, and the tables behind `dvc plots`."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from synthpairs.captions.params import CaptionParams
from synthpairs.core.storage import read_json, write_bytes
from synthpairs.generation.vq_pairs.decoding import pictures
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.language.params import GgufSource
from synthpairs.report import ingredients
from synthpairs.report.analysis import funnel
from synthpairs.report.headline import headline
from synthpairs.report.page import build
from synthpairs.report.params import Report
from synthpairs.report.results import SynthVLMResults, read_synth2_results, read_synthvlm_results
from synthpairs.report.sections import diversity
from synthpairs.report.sections.synth2 import synth2
from synthpairs.report.tables import FIGURES
from synthpairs.selection.mixing import generated_pairs, real_pairs
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Vlm

DATA, OUT = Path("data"), Path("reports")
BINS = 100  # of a score's histogram over [0, 1]


def write_report(
    report: Report,
    select: Select,
    captions: CaptionParams,
    language_model: GgufSource,
    vlm: Vlm,
    encode_real_pairs: RealPairs,
    arms: Sequence[str],
    token_arms: Sequence[str],
) -> dict[str, dict[str, int | float]]:
    """Write reports/README.md, reports/figures and reports/plots, and return the headline numbers.

    Figures of an earlier page are deleted. FileNotFoundError names the stage that makes a missing file.
    """

    def decode(keys: Sequence[str]) -> list[bytes]:
        pairs = chain(generated_pairs(DATA / "generated_tokens"), real_pairs(DATA / "real_pairs"))
        shown = set(keys)
        tokens = {pair.key: pair.tokens for pair in pairs if pair.key in shown}
        return pictures([tokens[key] for key in keys], encode_real_pairs.tokenizer, "encode_real_pairs.tokenizer")

    synth2_results = read_synth2_results(token_arms)
    verdict, section, figures = synth2(synth2_results, diversity.markdown(synth2_results.diversity), decode, report)
    results = read_synthvlm_results(arms)
    scorer = read_json(DATA / "scores/scorer.json", "dvc repro scores", ["inputs"])
    trainings = chain(results.trainings.values(), synth2_results.trainings.values())
    trained = [metrics for by_arm in trainings for metrics in by_arm.values()]
    made_of = ingredients.section(
        captions, language_model, vlm, results.generator, scorer, results.caption_metrics, *trained
    )
    page, others = build(results, verdict, section, made_of, select, report, DATA)
    figures |= others
    for path in sorted((OUT / FIGURES).glob("*.png")):
        if path.name not in figures:
            path.unlink()
    for name, png in figures.items():
        write_bytes(OUT / FIGURES / name, png)
    for name, table in plot_tables(results).items():
        write_bytes(OUT / "plots" / name, table.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(OUT / "README.md", page.encode())
    return headline(results, synth2_results, report.key_tasks)


def plot_tables(results: SynthVLMResults) -> dict[str, pd.DataFrame]:
    """Tables by file name: each arm's value on each benchmark, the funnel's counts, and both scores' histograms.

    Histograms have a column for all candidates and one for those that were selected.
    Bins are fixed, so that the histograms of different revisions can be overlaid.
    """
    benchmarks, steps = results.results, funnel(results)
    values = pd.DataFrame(
        {"benchmark": benchmarks["task"] + ": " + benchmarks["arm"], "value": benchmarks["value"].round(4)}
    )
    counts = pd.DataFrame({"step": steps.index, "captions": steps.sum(axis="columns").to_numpy()})
    tables = {"benchmarks.csv": values.sort_values("benchmark"), "funnel.csv": counts}
    for name in ("clip_cosine", "ssim"):
        edges = pd.interval_range(0, 1, periods=BINS)
        histogram = pd.DataFrame({name: edges.right.to_numpy().round(4)})
        for column, rows in (("candidates", results.scores), ("selected", results.selected)):
            histogram[column] = pd.cut(rows[name].clip(1e-9, 1), edges).value_counts(sort=False).to_numpy()
        tables[f"{name}.csv"] = histogram
    return tables
