"""Estimate of a run: work times rates, as tables for people and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthpairs.cli.estimate import rates
from synthpairs.cli.estimate.rates import CPU, GPUS, Gpu, Rate
from synthpairs.cli.estimate.work import Run
from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import detectable

GIB = 2**30
DIFFERENT = 0.25  # share of the items that two arms answer differently; at desk scale 0.1 to 0.3
NOT_COUNTED = (
    "Not counted: downloading, loading and saving models, stages of seconds, the Synth2 route but for `embed`, repairs "
    "and waiting."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the run is to take: a key of GPUS, or cpu for two cores."""

    gpu: str
    gpus: int = 1
    price: float | None = None  # of one GPU for an hour

    def __post_init__(self) -> None:
        if self.gpu not in (CPU, *GPUS):
            raise ValueError(f"--gpu must be one of {', '.join((CPU, *GPUS))}; got {self.gpu}")
        if self.gpus < 1:
            raise ValueError(f"--gpus must be at least 1, got {self.gpus}")
        if self.gpu == CPU and self.gpus > 1:
            raise ValueError(f"--gpus must be 1 for --gpu {CPU}, got {self.gpus}")
        if self.price is not None and not 0 <= self.price < math.inf:
            raise ValueError(f"--price must be at least 0, got {self.price}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Device-seconds of one row of work with bounds, and bytes on disk."""

    stage: str
    part: str
    seconds: float
    low: float
    high: float
    serial: float  # seconds of one process, which more GPUs do not share
    disk: float
    rate: Rate | None = None  # None: a sum

    def wall(self, gpus: int) -> float:
        """Seconds until it is done, where GPUs share evenly what they can."""
        return self.serial + (self.seconds - self.serial) / gpus


def estimate(run: Run, machine: Machine, measured: Mapping[str, Rate] | None = None) -> list[Estimate]:
    """Every row of work in order; `measured` rates of this very machine replace those of the tables."""
    table = (rates.DESK if machine.gpu == CPU else rates.GPU) | dict(measured or {})
    rows = []
    for work in run.work:
        rate = table[work.rate]
        gpu = GPUS[machine.gpu] if rate.device == rates.A100 else Gpu(1, 1, 1, "")
        size = (work.size or rate.reference) / rate.reference
        seconds = work.count * (work.steps * rate.seconds + rate.per_image) * size
        low, high, mean = seconds * rate.low / gpu.high, seconds * rate.high / gpu.low, seconds / gpu.speed
        serial = mean if rate.one_process else 0.0
        rows.append(Estimate(work.stage, work.part, mean, low, high, serial, work.disk, rate))
    return rows


def total(rows: Sequence[Estimate]) -> Estimate:
    """The sum, with bounds as if all rows were off to the same side."""
    names = ("seconds", "low", "high", "serial", "disk")
    return Estimate("all", "", *(sum(getattr(row, name) for row in rows) for name in names))


def disk(rows: Sequence[Estimate]) -> float:
    """Bytes of all outputs, and never less than the desk scale's."""
    return max(rates.DESK_DISK, total(rows).disk)


def memory(run: Run, machine: Machine) -> float:
    """Bytes of main memory at the peak."""
    desk = rates.DESK_MEMORY * max(1.0, (run.llm_parameters or 0) / rates.DESK_PARAMETERS)
    return max(desk if machine.gpu == CPU else rates.GPU_MEMORY * machine.gpus, run.images * rates.SELECT_MEMORY)


def differences(run: Run) -> dict[str, float]:
    """Smallest difference between two arms that a two-sided paired test at 5% shows with a power of 80%, for each benchmark.

    SE = sqrt(DIFFERENT / n): where answers are right or wrong, an item's difference is -1, 0 or 1.
    """
    return {task: detectable(math.sqrt(DIFFERENT / n), n - 1) for task, n in run.items.items() if n > 1}


def as_json(run: Run, machine: Machine, rows: Sequence[Estimate]) -> dict[str, Any]:
    """The estimate in seconds and bytes."""
    return {
        "run": asdict(run), "machine": asdict(machine),
        "rows": [asdict(row) | {"wall": row.wall(machine.gpus)} for row in rows],
        "memory": memory(run, machine), "disk": disk(rows), "differences": differences(run),
    }  # fmt: skip


def report(run: Run, machine: Machine, rows: Sequence[Estimate]) -> str:
    """Tables of times, sources and detectable differences, and what was assumed, in Markdown."""
    size = f"{run.llm_parameters / 1e9:.3g}B parameters" if run.llm_parameters else "size not known"
    parts = [
        f"{run.captions:,} captions, {run.images:,} images of {run.side} pixels in {run.steps} "
        f"steps, {len(run.arms)} arms; language model: {size}.",
        _times(machine, rows),
        f"Main memory: {memory(run, machine) / GIB:,.0f} GiB; disk: {disk(rows) / GIB:,.0f} GiB with everything kept. "
        "The truth is expected between `at least` and `at most`.",
    ]
    if machine.gpus > 1:
        whole = total(rows)
        rent = whole.wall(machine.gpus) / 3600 * machine.gpus * (machine.price or 0)
        paid = f"; all {machine.gpus} for the whole time cost {_number(rent)}" if machine.price else ""
        parts.append(f"For {_time(whole.serial)} of it one process works and the other GPUs are idle{paid}.")
    parts += [NOT_COUNTED, _bullets(run.notes), "Rates:", _bullets(dict.fromkeys(str(row.rate) for row in rows))]
    if machine.gpu != CPU:
        gpu = GPUS[machine.gpu]
        parts.append(f"{machine.gpu}: {gpu.speed:g} ({gpu.low:g} to {gpu.high:g}) times an A100; {gpu.source}.")
    if values := differences(run):
        parts.append(
            "Smallest difference between two arms that a two-sided paired test at 5% shows with a power of 80%, if they "
            f"differ on {DIFFERENT:.0%} of the items:"
        )
        parts.append(_bullets(f"{task}, {run.items[task]:,} items: {value:.3f}" for task, value in values.items()))
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _times(machine: Machine, rows: Sequence[Estimate]) -> str:
    """Time, disk and money of every row and of all."""
    head = ["stage", "part", "on 2 CPU cores" if machine.gpu == CPU else f"on 1 {machine.gpu}", "at least", "at most"]
    head += [f"on {machine.gpus} of them"] if machine.gpus > 1 else []
    head += ["disk"] if machine.price is None else ["disk", "cost", "at least", "at most"]
    table = []
    for row in [*rows, total(rows)]:
        seconds = (row.seconds, row.low, row.high)
        wall = [_time(row.wall(machine.gpus))] if machine.gpus > 1 else []
        cost = [] if machine.price is None else [_number(value / 3600 * machine.price) for value in seconds]
        table.append([row.stage, row.part, *map(_time, seconds), *wall, _bytes(row.disk), *cost])
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    pad = [str.ljust, str.ljust, *[str.rjust] * (len(head) - 2)]
    lines = [[just(cell, width) for just, cell, width in zip(pad, row, widths, strict=True)] for row in [head, *table]]
    return markdown_table(lines[0], lines[1:], {0, 1})


def _time(seconds: float) -> str:
    for limit, unit, name in ((100, 1, "s"), (6000, 60, "min")):
        if seconds < limit:
            return f"{_number(seconds / unit)} {name}"
    return f"{_number(seconds / 3600)} h"


def _bytes(count: float) -> str:
    return "" if not count else f"{_number(count / GIB)} GiB" if count >= GIB else f"{_number(count / 2**20)} MiB"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"
