"""Learning curves and speed of the Synth2 route, from the two files that `make experiments` and `make speed` write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthpairs.core.markdown import markdown_table
from synthpairs.report.codes import MIXED, REAL
from synthpairs.report.tables import literal, number

ROUTES = ("embeddings", "pixels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """When the mixed arm is as good as the real one is in the end; None: never."""

    baseline: float  # the real arm's value in the end
    last: int  # step
    step: int | None  # of the mixed arm's mean over seeds
    by_seed: tuple[int | None, ...]  # of its single trainings
    own: int  # of the real arm's mean: it may be there before its end, too

    def told(self) -> str:
        """As part of a sentence."""
        when = (
            f"at step {self.step:,} of {self.last:,} ({self.step / self.last:.0%})"
            if self.step is not None
            else "never"
        )
        seeds = ", ".join("never" if step is None else f"{step:,}" for step in self.by_seed)
        return f"{when}; by seed: {seeds}; `{REAL}` itself is there at step {self.own:,}"


def reached(curves: dict[str, Any]) -> Reached:
    """When the mixed arm reaches what the real one ends with, by the maker's baseline."""
    steps, baseline = list(curves["steps"]), float(curves["reached"]["baseline"])
    own = _first(np.mean(curves["arms"][REAL], axis=0), steps, baseline)
    return Reached(
        baseline=baseline,
        last=steps[-1],
        step=curves["reached"]["step"],
        by_seed=tuple(_first(values, steps, baseline) for values in curves["arms"][MIXED]),
        own=steps[-1] if own is None else own,  # None: a rounded baseline
    )


def _first(values: Sequence[float] | np.ndarray, steps: Sequence[int], least: float) -> int | None:
    return next((step for step, value in zip(steps, values, strict=True) if value >= least), None)


def curves_section(curves: dict[str, Any]) -> str:
    """The plot, what each arm ends with, and when the mixed one is there."""
    seeds, found = curves["seeds"], reached(curves)
    rows = []
    for arm in (REAL, MIXED):
        final = [values[-1] for values in curves["arms"][arm]]
        span = f"{number(float(np.mean(final)))} [{number(min(final))}, {number(max(final))}]"
        rows.append([f"`{arm}`", span, *map(number, final)])
    return "\n\n".join(
        [
            "![a line per arm with its band: the benchmark's value against the training step](experiments/learning_curves.png)",
            f"{curves['measure']} on {curves['task']} (n = {curves['n']:,}) against the step of training, {len(seeds)} seeds "
            "for each arm, trained apart from the main run ([from which commit](../docs/two-machines.md#side-experiments)). The "
            "band goes from the worst seed to the best.",
            markdown_table(["arm", f"mean at step {found.last:,} [worst, best seed]", *(f"seed {seed}" for seed in seeds)],
                           rows, words=[0]),
            f"`{MIXED}` has the {number(found.baseline)} that `{REAL}` ends with {found.told()}.",
        ]
    )  # fmt: skip


def speed_section(speed: dict[str, Any]) -> str:
    """Steps per second, bytes and memory of both routes, their ratio, and where the time goes."""
    rows = [
        ["steps of fine-tuning a second", *(_spread(speed["steps_per_s"][route]) for route in ROUTES)],
        ["steps of alignment a second", *(_spread(speed["align"]["steps_per_s"][route]) for route in ROUTES)],
        ["bytes of a sample", *(f"{speed['bytes_per_sample'][route]:,.0f}" for route in ROUTES)],
        ["peak memory, MiB", *(f"{speed['peak_memory_mib'][route]:,.0f}" for route in ROUTES)],
    ]
    where = speed["where"]
    parts = list(dict.fromkeys(name for route in ROUTES for name in where.get(route, {})))
    times = [
        [literal(name), *(f"{where[route][name]:.1%}" if name in where[route] else "-" for route in ROUTES)]
        for name in parts
    ]
    return "\n\n".join(
        [
            f"Training on embeddings makes **{speed['ratio'][0]:.2f} times** as many steps of fine-tuning a second as training "
            f"through pixels{_brackets(speed['ratio'])}, and **{speed['align']['ratio'][0]:.2f} times** as many steps of "
            f"alignment{_brackets(speed['align']['ratio'])}: the same generator and the same captions, in turns in one process, "
            f"n = {speed['n_runs']:,} runs of each; medians, in brackets the spread; on {literal(speed['machine'])}.",
            markdown_table(["", *ROUTES], rows, words=[0]),
            "Where the time of fine-tuning goes:",
            markdown_table(["part", *ROUTES], times, words=[0]),
        ]
    )


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.3g}{_brackets(values)}"


def _brackets(values: Sequence[float]) -> str:
    return f" [{values[1]:.3g}, {values[2]:.3g}]"
