"""Estimate of a run: work times rates, as Markdown tables or JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthpairs.cli.estimate import rates
from synthpairs.cli.estimate.rates import CPU, GPUS, Gpu, Rate
from synthpairs.cli.estimate.work import Run
from synthpairs.core.config import PARAMS
from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import detectable

GIB = 2**30
TRAININGS = ("pretrain", "finetune", "finetune_tokens")
DISAGREEMENT = 0.25  # share of items that two arms answer differently; 0.1 to 0.3 at desk scale
NOT_COUNTED = (
    "Not counted: corpora and weights on the disk, loading and saving models, stages of seconds, filters of class "
    "captions, waiting."
)
DESK = (
    "This is the desk's small generator, whatever the number of captions. For SDXL and the paper's models: "
    "`python -m synthpairs preset paper`, then this command again."
)
NOT_MEASURED = "none measured on this machine (`--measure` does so for images and scores)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Devices of the run: `gpu` is a key of GPUS, or cpu for two cores."""

    gpu: str
    gpus: int = 1
    price: float | None = None  # of one GPU for an hour

    def __post_init__(self) -> None:
        if self.gpu not in (CPU, *GPUS):
            raise ValueError(f"--gpu must be one of {', '.join((CPU, *GPUS))}; got {self.gpu!r}")
        if self.gpus < 1:
            raise ValueError(f"--gpus must be at least 1, got {self.gpus}")
        if self.gpu == CPU and self.gpus > 1:
            raise ValueError(
                f"--gpus {self.gpus} needs --gpu with one of {', '.join(GPUS)}; the run is estimated for {CPU}"
            )
        if self.price is not None and not 0 <= self.price < math.inf:
            raise ValueError(f"--price must be a number of at least 0, got {self.price}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """Device-seconds of one row of work, with bounds, bytes on disk, and bytes of memory that it needs at a time."""

    stage: str
    part: str
    seconds: float
    low: float
    high: float
    serial: float  # seconds of one process, which more GPUs do not reduce
    disk: float
    memory: float  # main memory, of all processes of the machine; 0: less than other rows, not counted
    gpu_memory: float  # of each GPU
    rate: Rate | None = None  # None: a sum

    def wall(self, gpus: int) -> float:
        """Seconds of wall time on so many GPUs."""
        return self.serial + (self.seconds - self.serial) / gpus


def estimate(run: Run, machine: Machine, measured: Mapping[str, Rate] | None = None) -> list[Estimate]:
    """Estimates of all rows of work, in order; `measured` rates of this machine replace those of the tables."""
    table = (rates.DESK if machine.gpu == CPU else rates.GPU) | dict(measured or {})
    rows = []
    for work in run.work:
        rate = table[work.rate]
        gpu = GPUS[machine.gpu] if rate.device == rates.A100 else Gpu(1, 1, 1, "")
        size = (work.size or rate.reference) / rate.reference
        seconds = work.count * (work.steps * rate.seconds + rate.per_image) * size
        low, high, mean = seconds * rate.low / gpu.high, seconds * rate.high / gpu.low, seconds / gpu.speed
        serial = mean if rate.one_process else 0.0
        memory = work.memory * (1 if rate.one_process or not work.gpu_memory else machine.gpus)
        on_gpu = work.gpu_memory + work.gpu_divided / machine.gpus
        if machine.gpu == CPU and on_gpu:
            trained = max(1.0, (run.llm_parameters or 0) / rates.DESK_PARAMETERS) * (work.stage in TRAININGS)
            memory, on_gpu = rates.DESK_MEMORY * trained, 0.0
        rows.append(Estimate(work.stage, work.part, mean, low, high, serial, work.disk, memory, on_gpu, rate))
    return rows


def total(rows: Sequence[Estimate]) -> Estimate:
    """The sum of all rows, with the sums of their bounds; of memory the largest, as stages run one after the other."""
    names = ("seconds", "low", "high", "serial", "disk")
    most = (max((getattr(row, name) for row in rows), default=0.0) for name in ("memory", "gpu_memory"))
    return Estimate("all", "", *(sum(getattr(row, name) for row in rows) for name in names), *most)


def disk(rows: Sequence[Estimate]) -> float:
    """Bytes of all outputs, at least those of the desk scale."""
    return max(rates.DESK_DISK, total(rows).disk)


def memory(rows: Sequence[Estimate]) -> float:
    """Peak of main memory in bytes, at least that of the desk scale."""
    return max(rates.DESK_MEMORY, total(rows).memory)


def differences(run: Run) -> dict[str, float]:
    """Smallest true difference between two arms that the report shows with a power of 80% if it is the only one, by benchmark.

    The standard error is sqrt(DISAGREEMENT / n), as an item's difference is -1, 0 or 1; all arms are compared on all benchmarks.
    """
    items = {task: n for task, n in run.items.items() if n > 1}
    tests = len(items) * max(1, math.comb(len(run.arms), 2))
    return {task: detectable(math.sqrt(DISAGREEMENT / n), n - 1, tests) for task, n in items.items()}


def as_json(run: Run, machine: Machine, rows: Sequence[Estimate]) -> dict[str, Any]:
    """The estimate in seconds and bytes."""
    return {
        "run": asdict(run), "machine": asdict(machine),
        "rows": [asdict(row) | {"wall": row.wall(machine.gpus)} for row in rows],
        "memory": memory(rows), "disk": disk(rows), "differences": differences(run),
    }  # fmt: skip


def report(run: Run, machine: Machine, rows: Sequence[Estimate]) -> str:
    """Markdown tables of times, sources of rates, detectable differences and assumptions."""
    size = f"{run.llm_parameters / 1e9:.3g}B parameters" if run.llm_parameters else "of unknown size"
    parts = [
        f"By {PARAMS} as it is: {run.captions:,} captions, {run.images:,} images of {run.side} pixels in {run.steps} "
        f"steps by {run.generator}, {len(run.arms)} arms; language model: {size}.",
        DESK if run.device == CPU else "",
        _times(machine, rows),
        f"Main memory: {memory(rows) / GIB:,.0f} GiB; disk: {disk(rows) / GIB:,.0f} GiB if nothing is deleted. "
        "Times are expected between `at least` and `at most`.",
    ]
    if machine.gpus > 1:
        run_total = total(rows)
        rent = run_total.wall(machine.gpus) / 3600 * machine.gpus * (machine.price or 0)
        cost = f"; all {machine.gpus} for the whole time cost {_number(rent)}" if machine.price else ""
        parts.append(f"For {_time(run_total.serial)} of it one process works and the other GPUs are idle{cost}.")
    measured = dict.fromkeys(row.stage for row in rows if row.rate and row.rate.device.startswith(rates.HERE))
    here = f"measured on this machine for {' and '.join(measured)}, assumed for the rest" if measured else NOT_MEASURED
    sources = _bullets(dict.fromkeys(str(row.rate) for row in rows))
    parts += [NOT_COUNTED, _bullets(run.notes), f"Rates, {here}:", sources]
    if machine.gpu != CPU:
        gpu = GPUS[machine.gpu]
        parts.append(f"{machine.gpu}: {gpu.speed:g} ({gpu.low:g} to {gpu.high:g}) times an A100; {gpu.source}.")
        parts.append(
            "Memory is calculated, for all processes of a stage and on each GPU, with SYNTHPAIRS_FSDP and "
            "SYNTHPAIRS_RECOMPUTE as they are set; a server's is not."
        )
    if values := differences(run):
        parts.append(
            "Smallest true difference between two arms that the report shows with a power of 80%, corrected for all comparisons, "
            f"if it is the only one and they differ on {DISAGREEMENT:.0%} of the items:"
        )
        parts.append(_bullets(f"{task}, {run.items[task]:,} items: {value:.3f}" for task, value in values.items()))
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _times(machine: Machine, rows: Sequence[Estimate]) -> str:
    """Time, disk space, memory and cost of every row and of the sum."""
    head = ["stage", "part", "on 2 CPU cores" if machine.gpu == CPU else f"on 1 {machine.gpu}", "at least", "at most"]
    head += [f"on {machine.gpus} of them"] if machine.gpus > 1 else []
    head += ["disk", "main memory"] if machine.gpu == CPU else ["disk", "main memory", "GPU memory"]
    head += [] if machine.price is None else ["cost", "at least", "at most"]
    table = []
    for row in [*rows, total(rows)]:
        seconds = (row.seconds, row.low, row.high)
        sizes = (row.disk, row.memory) if machine.gpu == CPU else (row.disk, row.memory, row.gpu_memory)
        wall = [_time(row.wall(machine.gpus))] if machine.gpus > 1 else []
        cost = [] if machine.price is None else [_number(value / 3600 * machine.price) for value in seconds]
        table.append([row.stage, row.part, *map(_time, seconds), *wall, *map(_bytes, sizes), *cost])
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
