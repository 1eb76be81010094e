"""Page of experiment `learning_curves`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthpairs.core.markdown import markdown_table
from synthpairs.experiments.results import FEW, REGENERATED
from synthpairs.report.experiments.tables import RULE, differences_table, values_table, verdict
from synthpairs.report.results import MIXED, REAL, SYNTHETIC
from synthpairs.report.sections.claims import HOLDS, Claim
from synthpairs.report.tables import number

NOT_SHOWN = "not shown here"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsToBaseline:
    """Steps at which a learning curve reaches the final value of the real arm; None: never."""

    baseline: float  # the real arm's final value
    last: int  # step
    mixed: int | None  # mean of the mixed arm over seeds
    mixed_by_seed: tuple[int | None, ...]
    real: int  # mean of the real arm, which may reach its final value earlier

    def text(self) -> str:
        """A sentence on the mean of the seeds and on each."""
        goal = f"the final value of `{REAL}`, {number(self.baseline)},"
        if self.mixed is None:
            text = f"In the mean of the seeds `{MIXED}` stays below {goal} up to the last step, {self.last:,}"
        else:
            share = f"{self.mixed:,} of {self.last:,} ({self.mixed / self.last:.0%})"
            text = f"In the mean of the seeds `{MIXED}` reaches {goal} at step {share}"
        seeds = ", ".join("never" if step is None else f"step {step:,}" for step in self.mixed_by_seed)
        earlier = f"; `{REAL}` itself: step {self.real:,}" if self.real < self.last else ""
        return f"{text}; each seed by itself: {seeds}{earlier}."

    def verdict(self) -> str:
        """Whether the mixed arm needs fewer steps, in the mean and under every seed."""
        all_steps = (self.mixed, *self.mixed_by_seed)
        return HOLDS if all(step is not None and step < self.real for step in all_steps) else NOT_SHOWN


def steps_to_baseline(curves: dict[str, Any]) -> StepsToBaseline:
    """Read from the curves of all seeds."""
    steps, baseline = list(curves["steps"]), float(curves["reached"]["baseline"])
    real = _first(np.mean(curves["arms"][REAL], axis=0), steps, baseline)
    return StepsToBaseline(
        baseline=baseline,
        last=steps[-1],
        mixed=curves["reached"]["step"],
        mixed_by_seed=tuple(_first(values, steps, baseline) for values in curves["arms"][MIXED]),
        real=steps[-1] if real is None else real,  # None: the baseline is rounded
    )


def fewer_steps(curves: dict[str, Any]) -> Claim:
    """The paper's claim of fewer training steps, for the report."""
    steps = steps_to_baseline(curves)
    return Claim(
        claim="fewer training steps to the level of real pairs",
        paper="about a third, 3 seeds",
        here=f"{steps.text()} {verdict(curves['final'])} {curves['measure']}, n = {curves['n']:,}, "
        f"{len(curves['seeds'])} seeds ([measured apart from this run](experiments/learning_curves.md))",
        verdict=steps.verdict(),
    )


def _first(values: Sequence[float] | np.ndarray, steps: Sequence[int], least: float) -> int | None:
    return next((step for step, value in zip(steps, values, strict=True) if value >= least), None)


def _controls(results: dict[str, Any] | None) -> list[str]:
    """Section on the control sets: what a training on generated pairs lacks."""
    if results is None:
        return []
    return [
        "## Why generated pairs help or do not",
        f"**{verdict(results)}**",
        f"`{FEW}` has as many real pairs as there are different generated captions, `{REGENERATED}` the same captions with "
        f"tokens that the masked generator makes of them, `{SYNTHETIC}` generated captions with such tokens, all grids of a "
        f"caption where `{REGENERATED}` has one. All have as many draws as `{REAL}`, so their pairs are repeated more often. So "
        f"`{REAL}` against `{FEW}` is what more different pairs are worth, `{REGENERATED}` against `{FEW}` what the generator "
        f"loses, and `{SYNTHETIC}` against `{REGENERATED}` what captions and number of grids change. For the paper's claim to "
        "hold, more different pairs must be worth something, and generated ones must lose less than that. "
        "Values have 95% intervals over items, clustered by concept, and in parentheses those of the seeds; differences are "
        "shown by the rule above.",
        values_table(results),
        differences_table(results),
    ]


def learning_curves_page(curves: dict[str, Any]) -> str:
    """The page as Markdown, with learning_curves.png next to it; `curves` as from `measure_learning_curves`."""
    seeds, steps = curves["seeds"], steps_to_baseline(curves)
    rows = []
    for arm in (REAL, MIXED):
        final = [values[-1] for values in curves["arms"][arm]]
        mean = f"{number(float(np.mean(final)))} [{number(min(final))}, {number(max(final))}]"
        rows.append([f"`{arm}`", mean, *map(number, final)])
    means = np.mean([curves["arms"][arm] for arm in (REAL, MIXED)], axis=1)  # [arm, point]
    rising = len(curves["steps"]) > 1 and bool((means[:, -1] > means[:, -2]).all())
    head = ["arm", f"mean at step {steps.last:,} [worst, best seed]", *(f"seed {seed}" for seed in seeds)]
    parts = [
        "# Learning curves of the Synth2 route",
        "Synth2 reports that a model trained on real and generated pairs captions as well as one trained on real pairs "
        "after about a third of the steps (3 seeds).",
        f"**Fewer steps to the level of real pairs: {steps.verdict()}.** {steps.text()}"
        + f" Both still rise at the last of {len(curves['steps'])} points." * rising,
        "![benchmark value of each arm by training step, with the range of its seeds](learning_curves.png)",
        f"{curves['measure']} on {curves['task']} (n = {curves['n']:,}) by training step, with {len(seeds)} seeds per arm, "
        "trained separately from the main run. The band spans the seeds. `make experiments` runs this experiment.",
        markdown_table(head, rows, words=[0]),
        f"The arms at that step, in the mean of the seeds. {RULE}",
        differences_table(curves["final"]),
        *_controls(curves["controls"]),
    ]
    return "\n\n".join(parts) + "\n"
