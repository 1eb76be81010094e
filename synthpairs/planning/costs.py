"""The arithmetic of a plan: seconds, disk and memory of every stage from its work and its rate. Nothing else is known here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from synthpairs.planning.rates import (
    BYTES_PER_PIXEL,
    CPU,
    DESK,
    DESK_START,
    GPUS,
    PAPER,
    PICTURE_COPIES,
    SELECT,
    Gpu,
    Rate,
)
from synthpairs.planning.work import Work

GIB = 2**30
WEIGHT_BYTES = 2 * 2  # of a stored parameter in bfloat16, in DVC's cache and the workspace
CHECKPOINT_BYTES = 12 * 2  # weights and AdamW's two moments in float32; two are there while one replaces the other
EXAMPLE_BYTES = 1024  # of a row of a million in selection: 0.96 GiB (docs/performance.md)
DESK_MEMORY, DESK_PARAMETERS = 8 * GIB, 135e6  # peak of a training of so many parameters on a CPU
HOST_MEMORY = 16 * GIB  # for each GPU: its process with loaders; a rule of thumb, nobody measured it
DESK_DISK = 3 * GIB  # data, models and cache of the desk scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One stage: seconds of all devices together, as expected and within which bounds."""

    stage: str
    seconds: float
    low: float
    high: float
    disk: float  # bytes
    serial: float  # of the seconds, those that more devices do not share
    rate: Rate
    measured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the run is planned for: `gpu` is a key of GPUS, or cpu for the desk's two cores."""

    gpu: str
    gpus: int
    price: float | None  # of one GPU for an hour, in whatever currency

    def __post_init__(self) -> None:
        if self.gpu not in (CPU, *GPUS):
            raise ValueError(f"--gpu must be one of {', '.join((CPU, *GPUS))}; got {self.gpu}")
        if self.gpus < 1:
            raise ValueError(f"--gpus must be at least 1, got {self.gpus}")
        if self.gpu == CPU and self.gpus > 1:
            raise ValueError(f"--gpus must be 1 for --gpu {CPU}, got {self.gpus}")
        if self.price is not None and not 0 <= self.price < float("inf"):
            raise ValueError(f"--price must be at least 0, got {self.price}")


def estimates(work: Work, machine: Machine, measured: Mapping[str, Rate]) -> list[Estimate]:
    """Every stage in order; `measured` holds rates of this very machine, which no factor for a GPU changes."""
    rates = (DESK if machine.gpu == CPU else PAPER) | {"select": SELECT} | dict(measured)
    start = DESK_START if machine.gpu == CPU else 0.0
    picture = work.picture_bytes or work.side**2 * BYTES_PER_PIXEL
    llm = work.llm_parameters or rates["finetune"].reference

    def of(stage: str, pieces: float, items: float = 0, size: float = 1.0, runs: int = 1, disk: float = 0) -> Estimate:
        rate = rates[stage]
        gpu = GPUS.get(machine.gpu, GPUS["A100"])
        if rate.on_cpu or machine.gpu == CPU or stage in measured:
            gpu = Gpu(speed=1, low=1, high=1, source="")
        seconds = (pieces * rate.seconds + items * rate.fixed) * size
        serial = runs * start + (seconds / gpu.speed if stage == "select" else 0)
        return Estimate(
            stage=stage,
            seconds=seconds / gpu.speed + runs * start,
            low=seconds * rate.low / gpu.high + runs * start,
            high=seconds * rate.high / gpu.low + runs * start,
            disk=disk,
            serial=serial,
            rate=rate,
            measured=stage in measured,
        )

    def scaled(stage: str, parameters: float | None) -> float:
        return (parameters or rates[stage].reference) / rates[stage].reference

    area = {stage: (work.side / rates[stage].reference) ** 2 for stage in ("images", "scores")}
    passes, grid_passes = (1.0 if guided else 0.5 for guided in (work.guided, work.grids_guided))
    arms = len(work.arms)
    models = arms * llm * WEIGHT_BYTES
    return [
        of("captions", work.read, size=scaled("captions", work.judge_parameters), disk=work.read * 500.0),
        of(
            "images", work.candidates * work.steps * passes, work.candidates, area["images"],
            disk=work.candidates * picture * PICTURE_COPIES,
        ),
        of("scores", work.candidates, size=area["scores"], disk=work.candidates * 200.0),
        of("select", work.candidates, disk=work.pairs * picture * 2),
        of("align", arms * work.align, size=scaled("align", work.llm_parameters), runs=arms),
        of(
            "finetune", arms * work.finetune, size=scaled("finetune", work.llm_parameters), runs=arms,
            disk=models + llm * CHECKPOINT_BYTES,
        ),
        of("benchmark", work.answers, size=scaled("benchmark", work.llm_parameters), runs=arms + 1),
        of("embed", work.grids * work.grid_steps * grid_passes, disk=work.grids * 2048.0),
    ]  # fmt: skip


def together(found: list[Estimate]) -> Estimate:
    """All stages as one. Bounds are added up, as if all were off to the same side: no stage makes up for another."""
    sums = {name: sum(getattr(one, name) for one in found) for name in ("seconds", "low", "high", "disk", "serial")}
    return replace(found[0], stage="all", **sums)


def hours(seconds: float, serial: float, gpus: int) -> float:
    """Wall hours on so many GPUs: what can be shared is shared evenly."""
    return (serial + (seconds - serial) / gpus) / 3600


def memory(work: Work, machine: Machine) -> float:
    """Bytes of main memory that the hungriest stage takes."""
    rows = work.candidates * EXAMPLE_BYTES
    if machine.gpu != CPU:
        return max(HOST_MEMORY * machine.gpus, rows)
    return max(DESK_MEMORY * max(1.0, (work.llm_parameters or 0) / DESK_PARAMETERS), rows)


def disk(found: list[Estimate]) -> float:
    """Bytes of all stages' outs, and never less than the desk scale's."""
    return max(DESK_DISK, together(found).disk)
