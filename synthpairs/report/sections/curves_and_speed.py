"""Report sections about learning curves and training speed of the Synth2 route."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthpairs.core.markdown import markdown_table
from synthpairs.report.results import MIXED, REAL
from synthpairs.report.tables import literal, number

ROUTES = ("embeddings", "pixels")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsToBaseline:
    """Steps at which a learning curve reaches the final value of the real arm; None: never."""

    baseline: float  # the real arm's final value
    last: int  # step
    mixed: int | None  # mean of the mixed arm over seeds
    mixed_by_seed: tuple[int | None, ...]
    real: int  # mean of the real arm, which may reach its final value earlier

    def text(self) -> str:
        """As the end of a sentence."""
        share = f" of {self.last:,} ({self.mixed / self.last:.0%})" if self.mixed is not None else ""
        seeds = ", ".join(map(_step, self.mixed_by_seed))
        return f"{_step(self.mixed, 'step ')}{share}; by seed: {seeds}; `{REAL}` itself: step {self.real:,}"


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


def _first(values: Sequence[float] | np.ndarray, steps: Sequence[int], least: float) -> int | None:
    return next((step for step, value in zip(steps, values, strict=True) if value >= least), None)


def _step(step: int | None, prefix: str = "") -> str:
    return "never" if step is None else f"{prefix}{step:,}"


def curves_section(curves: dict[str, Any]) -> str:
    """Figure, final values of both arms, and the steps to the baseline."""
    seeds, steps = curves["seeds"], steps_to_baseline(curves)
    rows = []
    for arm in (REAL, MIXED):
        final = [values[-1] for values in curves["arms"][arm]]
        mean = f"{number(float(np.mean(final)))} [{number(min(final))}, {number(max(final))}]"
        rows.append([f"`{arm}`", mean, *map(number, final)])
    head = ["arm", f"mean at step {steps.last:,} [worst, best seed]", *(f"seed {seed}" for seed in seeds)]
    return "\n\n".join(
        [
            "![benchmark value of each arm by training step, with the range of its "
            "seeds](experiments/learning_curves.png)",
            f"{curves['measure']} on {curves['task']} (n = {curves['n']:,}) by training step, with {len(seeds)} seeds "
            "per arm, trained separately from the main run ([commit](../docs/two-machines.md#side-experiments)). The "
            "band spans the seeds.",
            markdown_table(head, rows, words=[0]),
            f"`{MIXED}` reaches the final value of `{REAL}`, {number(steps.baseline)}: {steps.text()}.",
        ]
    )


def speed_section(speed: dict[str, Any]) -> str:
    """Steps per second, bytes and memory of both routes, their ratio, and the time by part."""
    rows = [
        ["steps of fine-tuning a second", *(_spread(speed["steps_per_s"][route]) for route in ROUTES)],
        ["steps of pretraining a second", *(_spread(speed["pretrain"]["steps_per_s"][route]) for route in ROUTES)],
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
            f"Training on embeddings makes **{speed['ratio'][0]:.2f} times** as many steps of fine-tuning a second as "
            f"training on pixels{_brackets(speed['ratio'])}, and **{speed['pretrain']['ratio'][0]:.2f} times** as many "
            f"steps of projector pretraining{_brackets(speed['pretrain']['ratio'])}. Same generator and captions, runs "
            f"alternating in one process, n = {speed['n_runs']:,} runs of each; medians, in brackets the range; on "
            f"{literal(speed['machine'])}.",
            markdown_table(["", *ROUTES], rows, words=[0]),
            "Share of the time of fine-tuning by part:",
            markdown_table(["part", *ROUTES], times, words=[0]),
        ]
    )


def _spread(values: Sequence[float]) -> str:
    return f"{values[0]:.3g}{_brackets(values)}"


def _brackets(values: Sequence[float]) -> str:
    return f" [{values[1]:.3g}, {values[2]:.3g}]"
