"""The arithmetic of a plan against cases worked out by hand, and what must grow with what."""

import pytest

from synthpairs.planning.costs import GIB, Estimate, Machine, disk, estimates, hours, memory, together
from synthpairs.planning.load import Load
from synthpairs.planning.rates import Rate
from synthpairs.planning.work import Work

A100 = Machine(gpu="A100", gpus=8, price=2.0)
IMAGES = Load(stage="images", rate="images", pieces=60e6, items=1e6, size=1024**2, disk=5e12)
SELECT = Load(stage="select", rate="select", pieces=1e6)
TUNED = Load(stage="finetune", rate="finetune", pieces=3 * 665e3, size=7e9)
ASKED = Load(stage="benchmark", part="own", rate="benchmark", pieces=80_000, size=7e9, starts=4)


def estimate(load: Load, machine: Machine = A100, **measured: Rate) -> Estimate:
    (found,) = estimates([load], machine, measured)
    return found


def test_the_papers_million_pictures() -> None:
    """60 steps of 0.0985 s and 0.374 s beside them: 6.284 s a picture, 73 days of an A100 for a million."""
    images = estimate(IMAGES)
    assert images.seconds == pytest.approx(6.284e6)
    assert hours(images.seconds, images.serial, 8) == pytest.approx(6.284e6 / 8 / 3600)
    assert images.low < images.seconds < images.high
    assert images.disk == 5e12


def test_the_papers_trainings() -> None:
    """LLaVA-1.5-7B: 558K pairs took 28 GPU-hours, 665K conversations 80; here for three arms."""
    aligned = Load(stage="align", rate="align", pieces=3 * 100e3, size=7e9)
    assert estimate(aligned).seconds / 3600 == pytest.approx(3 * 28 * 100 / 558, rel=0.01)
    assert estimate(TUNED).seconds / 3600 == pytest.approx(3 * 80, rel=0.01)
    thirteen = Load(stage="finetune", rate="finetune", pieces=3 * 665e3, size=13e9)
    assert estimate(thirteen).seconds == pytest.approx(estimate(TUNED).seconds * 13 / 7)


def test_pictures_cost_as_their_area() -> None:
    larger = Load(stage="images", rate="images", pieces=60e6, items=1e6, size=4 * 1024**2)
    assert estimate(larger).seconds == pytest.approx(4 * estimate(IMAGES).seconds)
    unsized = Load(stage="images", rate="images", pieces=60e6, items=1e6)
    assert estimate(unsized).seconds == estimate(IMAGES).seconds


def test_a_faster_gpu_helps_where_a_gpu_works() -> None:
    fast = Machine(gpu="H100", gpus=8, price=None)
    assert estimate(IMAGES, fast).seconds == pytest.approx(estimate(IMAGES).seconds / 2.5)
    scores = Load(stage="scores", rate="scores", pieces=1e6)
    assert estimate(scores, fast).seconds == estimate(scores).seconds
    assert estimate(SELECT, fast).seconds == pytest.approx(9.6)


def test_one_process_is_not_shared() -> None:
    """80,000 answers of 0.25 s are 20,000 s on one GPU and on eight; 6.284 million seconds of pictures are an eighth."""
    found = estimates([IMAGES, ASKED], A100, {})
    assert found[1].serial == pytest.approx(20_000)
    total = together(found)
    assert hours(total.seconds, total.serial, 8) == pytest.approx((6.284e6 / 8 + 20_000) / 3600)


def test_processes_start_at_the_desk() -> None:
    cpu = Machine(gpu="cpu", gpus=1, price=None)
    small = Load(stage="benchmark", rate="benchmark", pieces=1000, starts=4)
    assert estimate(small, cpu).seconds == pytest.approx(1000 * 0.0203 + 4 * 6)
    assert estimate(small, cpu).low == pytest.approx(0.45 * 1000 * 0.0203 + 4 * 6)
    assert estimate(small).seconds == pytest.approx(1000 * 0.25)


def test_what_was_measured_here_counts_as_it_is() -> None:
    """0.05 s for a step of 512 pixels, seen here: four times that at 1024; no factor for a GPU on top."""
    here = Rate(seconds=0.05, piece="step", hardware="here", source="measured", low=0.9, high=1.1, reference=512**2)
    found = estimate(IMAGES, Machine(gpu="H100", gpus=1, price=None), images=here)
    assert (found.seconds, found.measured) == (pytest.approx(1e6 * 60 * 0.05 * 4), True)
    assert (found.low, found.high) == (pytest.approx(found.seconds * 0.9), pytest.approx(found.seconds * 1.1))


def test_the_sum() -> None:
    found = estimates([IMAGES, SELECT, TUNED, ASKED], A100, {})
    total = together(found)
    for name in ("seconds", "low", "high", "disk", "serial"):
        assert getattr(total, name) == pytest.approx(sum(getattr(one, name) for one in found))
    assert hours(3600 * 9, 3600, 8) == pytest.approx(2)
    assert disk(found) == 5e12
    assert disk(estimates([SELECT], A100, {})) == 3 * GIB


def test_main_memory() -> None:
    work = Work(
        captions=741, told="by hand", candidates=1_000_000, steps=1, side=64, arms=[], items={}, llm_parameters=135e6, loads=[],
        notes=[],
    )  # fmt: skip
    assert memory(work, A100) == 128 * GIB
    assert memory(work, Machine(gpu="cpu", gpus=1, price=None)) == 8 * GIB


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gpu": "A1000"}, "--gpu must be one of cpu, A100"),
        ({"gpus": 0}, "--gpus must be at least 1, got 0"),
        ({"gpu": "cpu", "gpus": 2}, "--gpus must be 1 for --gpu cpu"),
        ({"price": -1.0}, "--price must be at least 0"),
        ({"price": float("nan")}, "--price must be at least 0"),
    ],
)
def test_nonsense_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Machine(**{"gpu": "A100", "gpus": 1, "price": None} | values)
