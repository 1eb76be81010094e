"""Headline numbers of a run, few enough for a table of experiments: in `dvc exp show` and on the parent run in MLflow."""

from collections.abc import Sequence
from itertools import product

from synthpairs.core.schema import PAIR_SCORES
from synthpairs.report.results import Synth2Results, SynthVLMResults

DECIMALS = 4


def headline(
    synthvlm: SynthVLMResults, synth2: Synth2Results, key_tasks: Sequence[str]
) -> dict[str, dict[str, int | float]]:
    """Headline numbers by group: counts of captions, the selection's size and mean scores, and the results of each arm.

    Results are those on the key tasks. Arms and tasks that were not evaluated are left out, and the difference
    `selected-random` with either.
    """
    selected = synthvlm.selected
    numbers: dict[str, dict[str, int | float]] = {
        "captions": {"read": len(synthvlm.kept) + len(synthvlm.rejected), "kept": len(synthvlm.kept)},
        "selected": {"pairs": len(selected)} | selected[PAIR_SCORES].mean().round(DECIMALS).to_dict(),
    }
    for results in (synthvlm, synth2):
        for arm, task in product(results.arms, key_tasks):
            if task in results.benchmarks[arm]:
                numbers.setdefault(arm, {})[task] = round(results.benchmarks[arm][task]["value"], DECIMALS)
    one, other = numbers["selected"], numbers.get("random", {})
    if differences := {task: round(one[task] - value, DECIMALS) for task, value in other.items() if task in one}:
        numbers["selected-random"] = differences
    return numbers
