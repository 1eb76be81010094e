"""The arithmetic of a plan against cases worked out by hand, and what must grow with what."""

import dataclasses

import pytest

from synthpairs.planning.costs import GIB, Estimate, Machine, disk, estimates, hours, memory, together
from synthpairs.planning.rates import Rate
from synthpairs.planning.work import Work

WORK = Work(
    read=2_500_000, captions=1_000_000, told="by hand", candidates=1_000_000, steps=60, guided=True, side=1024,
    picture_bytes=None, grids=1_000_000, grid_steps=12, grids_guided=True, pairs=100_000, arms=["selected", "random", "real"],
    align=100_000, finetune=665_000, answers=80_000, items={"desk_vqa": 10_000}, llm_parameters=7e9, judge_parameters=70e9,
)  # fmt: skip
A100 = Machine(gpu="A100", gpus=8, price=2.0)


def stage(name: str, work: Work = WORK, machine: Machine = A100, **measured: Rate) -> Estimate:
    return next(one for one in estimates(work, machine, measured) if one.stage == name)


def test_the_papers_million_pictures() -> None:
    """60 steps of 0.0985 s and 0.374 s beside them: 6.284 s a picture, 73 days of an A100 for a million."""
    images = stage("images")
    assert images.seconds == pytest.approx(6.284e6)
    assert hours(images.seconds, images.serial, 8) == pytest.approx(6.284e6 / 8 / 3600)
    assert images.disk == pytest.approx(1_000_000 * 1024 * 1024 * 1.6 * 3)
    assert images.low < images.seconds < images.high


def test_the_papers_trainings() -> None:
    """LLaVA-1.5-7B: 558K pairs took 28 GPU-hours, 665K conversations 80; here for three arms."""
    assert stage("align").seconds / 3600 == pytest.approx(3 * 28 * 100 / 558, rel=0.01)
    assert stage("finetune").seconds / 3600 == pytest.approx(3 * 80, rel=0.01)
    thirteen = dataclasses.replace(WORK, llm_parameters=13e9)
    assert stage("finetune", thirteen).seconds == pytest.approx(stage("finetune").seconds * 13 / 7)


def test_the_desk_as_the_readme_has_it() -> None:
    """741 pictures of 64 pixels in 12 steps take 119 s, 8 of them to start; fine-tuning on 440 conversations 147 s an arm."""
    desk = dataclasses.replace(
        WORK, read=1540, candidates=741, side=64, steps=12, finetune=440, align=0, answers=1672 * 2 * 4,
        llm_parameters=135e6, judge_parameters=135e6, picture_bytes=7000.0, pairs=256,
    )  # fmt: skip
    machine = Machine(gpu="cpu", gpus=1, price=None)
    assert stage("images", desk, machine).seconds == pytest.approx(119, rel=0.01)
    assert stage("finetune", desk, machine).seconds == pytest.approx(3 * 147, rel=0.01)
    assert stage("captions", desk, machine).seconds == pytest.approx(158, rel=0.01)
    assert stage("align", desk, machine).seconds == 3 * 8
    assert stage("benchmark", desk, machine).seconds == pytest.approx(4 * 76, rel=0.02)
    assert memory(desk, machine) == 8 * GIB
    assert disk(estimates(desk, machine, {})) >= 3 * GIB


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("images", {"steps": 61}), ("images", {"side": 1032}), ("images", {"candidates": 1_000_001}),
        ("captions", {"read": 2_500_001}), ("scores", {"side": 1032}), ("select", {"candidates": 1_000_001}),
        ("align", {"align": 100_001}), ("finetune", {"finetune": 665_001}), ("benchmark", {"answers": 80_001}),
        ("embed", {"grids": 1_000_001}), ("embed", {"grid_steps": 13}),
    ],
)  # fmt: skip
def test_more_work_takes_longer(name: str, changed: dict) -> None:
    more = stage(name, dataclasses.replace(WORK, **changed))
    assert more.seconds > stage(name).seconds
    assert more.low < more.seconds < more.high


def test_without_guidance_each_step_is_one_pass() -> None:
    plain = dataclasses.replace(WORK, guided=False, grids_guided=False)
    assert stage("images", plain).seconds == pytest.approx(1e6 * (30 * 0.0985 + 0.374))
    assert stage("embed", plain).seconds == pytest.approx(stage("embed").seconds / 2)


def test_a_faster_gpu_helps_where_a_gpu_works() -> None:
    fast = Machine(gpu="H100", gpus=8, price=None)
    assert stage("images", machine=fast).seconds == pytest.approx(stage("images").seconds / 2.5)
    assert stage("scores", machine=fast).seconds == stage("scores").seconds
    assert stage("select", machine=fast).seconds == pytest.approx(9.6)


def test_what_was_measured_here_counts_as_it_is() -> None:
    """0.05 s for a step of 512 pixels, seen here: four times that at 1024; no factor for a GPU on top."""
    here = Rate(seconds=0.05, piece="step", hardware="here", source="measured", low=0.9, high=1.1, reference=512)
    found = stage("images", machine=Machine(gpu="H100", gpus=1, price=None), images=here)
    assert (found.seconds, found.measured) == (pytest.approx(1e6 * 60 * 0.05 * 4), True)
    assert (found.low, found.high) == (pytest.approx(found.seconds * 0.9), pytest.approx(found.seconds * 1.1))


def test_the_sum_and_what_more_gpus_do_not_share() -> None:
    found = estimates(WORK, A100, {})
    total = together(found)
    assert total.seconds == pytest.approx(sum(one.seconds for one in found))
    assert hours(3600 * 9, 3600, 8) == pytest.approx(2)
    assert memory(WORK, A100) == 128 * GIB


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
