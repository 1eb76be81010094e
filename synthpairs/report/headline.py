"""Headline numbers of a run, few enough for a table of experiments: in `dvc exp show` and on the parent run in MLflow."""

from collections.abc import Sequence

from synthpairs.report.results import Synth2Results, SynthVLMResults
from synthpairs.report.sections.claims import CAPTIONING

DECIMALS = 4


def headline(
    synthvlm: SynthVLMResults, synth2: Synth2Results, key_tasks: Sequence[str]
) -> dict[str, dict[str, int | float]]:
    """Headline numbers by group: counts of captions, size and mean scores of the selection, each arm's value on a task.

    The tasks are captioning and the key tasks; arms and tasks that were not evaluated are left out.
    """
    selected = synthvlm.selected
    numbers: dict[str, dict[str, int | float]] = {
        "captions": {"read": len(synthvlm.kept) + len(synthvlm.rejected), "kept": len(synthvlm.kept)},
        "selected": {"pairs": len(selected)} | selected[["clip_cosine", "ssim"]].mean().round(DECIMALS).to_dict(),
    }
    for task in dict.fromkeys([CAPTIONING, *key_tasks]):
        values = {
            arm: round(results.benchmarks[arm][task]["value"], DECIMALS)
            for results in (synthvlm, synth2)
            for arm in results.arms
            if task in results.benchmarks[arm]
        }
        if {"selected", "random"} <= set(values):
            values["selected_minus_random"] = round(values["selected"] - values["random"], DECIMALS)
        if values:
            numbers[task] = values
    return numbers
