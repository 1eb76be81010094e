"""The arithmetic of a plan: seconds, disk and memory of all work from its rates. Nothing else is known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthpairs.planning.desk_rates import DESK, START
from synthpairs.planning.gpu_rates import PAPER
from synthpairs.planning.load import Load
from synthpairs.planning.rates import ANYWHERE, CPU, GPUS, Gpu, Rate
from synthpairs.planning.work import Work

GIB = 2**30
EXAMPLE_BYTES = 1024  # of a row of a million in selection: 0.96 GiB (docs/performance.md)
DESK_MEMORY, DESK_PARAMETERS = 8 * GIB, 135e6  # peak of a training of so many parameters on a CPU
HOST_MEMORY = 16 * GIB  # for each GPU: its process with loaders; a rule of thumb, nobody measured it
DESK_DISK = 3 * GIB  # data, models and cache of the desk scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One load: seconds of all devices together, as expected and within which bounds."""

    stage: str
    part: str
    seconds: float
    low: float
    high: float
    disk: float  # bytes
    serial: float  # of the seconds, those that more devices do not share
    rate: Rate
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """All of them. Bounds are added up, as if all were off to the same side: no stage makes up for another."""

    seconds: float
    low: float
    high: float
    disk: float
    serial: float


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


def estimates(loads: Sequence[Load], machine: Machine, measured: Mapping[str, Rate]) -> list[Estimate]:
    """Every load in order; `measured` holds rates of this very machine, which no factor for a GPU changes."""
    rates = ANYWHERE | (DESK if machine.gpu == CPU else PAPER) | dict(measured)
    start = START if machine.gpu == CPU else 0.0
    return [_estimate(load, rates[load.rate], machine, start, load.rate in measured) for load in loads]


def _estimate(load: Load, rate: Rate, machine: Machine, start: float, measured: bool) -> Estimate:
    gpu = GPUS.get(machine.gpu)
    if gpu is None or rate.on_cpu or measured:
        gpu = Gpu(speed=1, low=1, high=1, source="")
    size = (load.size or rate.reference) / rate.reference
    seconds = (load.pieces * rate.seconds + load.items * rate.fixed) * size
    starting = load.starts * start
    return Estimate(
        stage=load.stage,
        part=load.part,
        seconds=seconds / gpu.speed + starting,
        low=seconds * rate.low / gpu.high + starting,
        high=seconds * rate.high / gpu.low + starting,
        disk=load.disk,
        serial=starting + (seconds / gpu.speed if rate.alone else 0),
        rate=rate,
        measured=measured,
    )


def together(found: Sequence[Estimate]) -> Total:
    """The sums."""
    return Total(*(sum(getattr(one, name) for one in found) for name in ("seconds", "low", "high", "disk", "serial")))


def hours(seconds: float, serial: float, gpus: int) -> float:
    """Wall hours on so many GPUs: what can be shared is shared evenly."""
    return (serial + (seconds - serial) / gpus) / 3600


def memory(work: Work, machine: Machine) -> float:
    """Bytes of main memory that the hungriest stage takes."""
    rows = work.candidates * EXAMPLE_BYTES
    if machine.gpu != CPU:
        return max(HOST_MEMORY * machine.gpus, rows)
    return max(DESK_MEMORY * max(1.0, (work.llm_parameters or 0) / DESK_PARAMETERS), rows)


def disk(found: Sequence[Estimate]) -> float:
    """Bytes of all stages' outs, and never less than the desk scale's."""
    return max(DESK_DISK, together(found).disk)
