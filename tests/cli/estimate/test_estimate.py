"""Estimates against calculations by hand, and the command: tables, JSON, errors and measured rates."""

import json
import math
from pathlib import Path

import pytest
from scipy.stats import t as student

from synthpairs.__main__ import main
from synthpairs.cli.estimate.estimate import GIB, Machine, differences, disk, estimate, memory, report, total
from synthpairs.cli.estimate.rates import DESK, GPU, GPUS, Rate
from synthpairs.cli.estimate.work import Run, Work

EIGHT, H100, CPU = Machine(gpu="A100", gpus=8, price=2.0), Machine(gpu="H100"), Machine(gpu="cpu")
IMAGES = Work("images", "", "images", 1e6, 1024**2, 60, disk=5e12)
SELECT = Work("select", "", "select", 1e6)
ANSWERS = Work("benchmark", "desk tasks", "benchmark", 80_000, 7e9)


def run(*work, **values):
    defaults = {
        "images": 2000,
        "side": 1024,
        "llm_parameters": 7e9,
        "items": {},
        "notes": [],
        "arms": ["real"],
    } | values
    return Run(captions=1000, steps=60, generator="sdxl", work=list(work), **defaults)


def row_of(work, machine=EIGHT, **measured):
    return estimate(run(work), machine, measured)[0]


def test_every_rate_has_bounds_and_a_source():
    for rate in [*DESK.values(), *GPU.values()]:
        assert rate.seconds > 0
        assert 0 < rate.low < 1 < rate.high, rate
        assert min(len(rate.unit), len(rate.source), len(rate.device)) > 5, rate
    assert all(gpu.low <= gpu.speed <= gpu.high and gpu.source for gpu in GPUS.values())
    assert {name: rate.one_process for name, rate in DESK.items()} == {
        name: rate.one_process for name, rate in GPU.items()
    }


@pytest.mark.parametrize(
    ("work", "machine", "seconds"),
    [
        (IMAGES, EIGHT, 6.284e6),  # 60 steps of 0.0985 s and 0.374 s besides them, 73 days of an A100 for a million
        (IMAGES, H100, 6.284e6 / 2.5),
        (SELECT, H100, 9.6),  # runs on the CPU
        (Work("pretrain", "", "pretrain", 558e3, 7e9), EIGHT, 28 * 3600),  # LLaVA-1.5-7B: 558K pairs took 28 GPU-hours
        (Work("finetune", "", "finetune", 665e3, 7e9), EIGHT, 80 * 3600),  # and 665K conversations 80
        (Work("finetune", "", "finetune", 665e3, 14e9), EIGHT, 160 * 3600),
        (Work("images", "", "images", 741, 64**2, 12), CPU, 111),  # desk scale has its own rates
    ],
)
def test_seconds(work, machine, seconds):
    assert row_of(work, machine).seconds == pytest.approx(seconds, rel=0.01)


def test_bounds_combine_those_of_rate_and_gpu():
    images = row_of(IMAGES)
    assert (images.low, images.high) == pytest.approx((6.284e6 * 0.8 / 1.3, 6.284e6 * 1.4 / 0.9))
    # 0.05 s for a step of 512 pixels, measured here: four times that at 1024, and no factor of the GPU.
    here = Rate(0.05, 0.9, 1.1, "image and step", "measured", 512**2, "this machine")
    images = row_of(IMAGES, H100, images=here)
    assert (images.seconds, images.low, images.high) == pytest.approx((1.2e7, 0.9 * 1.2e7, 1.1 * 1.2e7))


def test_the_sum_divides_only_parallel_work_among_gpus():
    """80,000 answers of 0.25 s are 20,000 s on one GPU and on eight; the images take an eighth of their time."""
    rows = estimate(run(IMAGES, ANSWERS), EIGHT)
    assert total(rows).wall(8) == pytest.approx(6.284e6 / 8 + 20_000)
    assert total(rows).memory == max(row.memory for row in rows)
    for name in ("seconds", "low", "high", "serial", "disk"):
        assert getattr(total(rows), name) == pytest.approx(sum(getattr(row, name) for row in rows))
    assert (disk(rows), disk(rows[1:])) == (5e12, 3 * GIB)


def test_memory_is_the_largest_of_the_stages():
    """Processes of all GPUs add up in main memory; FSDP divides among the GPUs what it may."""
    tuned = Work("finetune", "", "finetune", 8, 7e9, memory=30 * GIB, gpu_memory=5 * GIB, gpu_divided=104 * GIB)
    asked = Work("benchmark", "", "benchmark", 8, 7e9, memory=20 * GIB, gpu_memory=15 * GIB)
    ranked = Work("select", "", "select", 8, memory=2 * GIB)
    rows = estimate(run(tuned, asked, ranked), EIGHT)
    assert [row.memory / GIB for row in rows] == [240, 20, 2]
    assert [row.gpu_memory / GIB for row in rows] == [18, 15, 0]
    assert (memory(rows), memory(rows[2:]), total(rows).gpu_memory) == (240 * GIB, 8 * GIB, 18 * GIB)
    for size in (135e6, 270e6):  # on a CPU: what training took there
        rows = estimate(run(tuned, asked, ranked, llm_parameters=size), CPU)
        assert [row.memory / GIB for row in rows] == [8 * size / 135e6, 0, 2]
        assert total(rows).gpu_memory == 0


def test_detectable_differences():
    """(t(1 - 0.025 / 6) + t(0.8)) x SE for three arms on two benchmarks; four times the items show half the difference."""
    values = differences(run(items={"vqa": 400, "pope": 1600, "none": 1}, arms=["selected", "random", "real"]))
    level = 1 - 0.025 / 6
    assert values["vqa"] == pytest.approx((student.ppf(level, 399) + student.ppf(0.8, 399)) * math.sqrt(0.25 / 400))
    assert values["pope"] == pytest.approx(values["vqa"] / 2, rel=0.01)
    assert "none" not in values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--captions", "0"], "--captions must be at least 1, got 0"),
        (["--gpu", "TPU"], "--gpu must be one of cpu, A100"),
        (["--gpu", "A100", "--gpus", "0"], "--gpus must be at least 1, got 0"),
        (["--gpu", "cpu", "--gpus", "2"], "--gpus 2 needs --gpu with one of A100, H100"),
        (["--price", "nan"], "--price must be a number of at least 0"),
    ],
)
def test_errors_are_one_line(change, caplog, arguments, message):
    assert main(["estimate", *arguments]) == 1
    assert message in caplog.text


def test_names_of_devices_are_taken_in_any_case(change, capsys):
    for name, title in (("h100", "on 1 H100"), ("CPU", "on 2 CPU cores")):
        assert main(["estimate", "--gpu", name]) == 0
        assert f"| {title} |" in capsys.readouterr().out


def test_tables_and_assumptions():
    """800 s of images are divided among 4 GPUs, 3,600 s of answers are not: 3,800 s, paid for four GPUs."""
    images = Work("images", "", "images", 800 / 0.374, steps=0)
    answers = Work("benchmark", "", "benchmark", 4 * 3600, disk=2**30, memory=2**31, gpu_memory=2**32)
    work, machine = (
        run(images, answers, notes=["this was assumed"], items={"pope": 9000}),
        Machine(gpu="A100", gpus=4, price=2.0),
    )
    text = report(work, machine, estimate(work, machine))
    table = text.split("\n\n")[1].splitlines()
    assert len({len(line) for line in table if "---" not in line}) == 1
    cells = [cell.strip() for cell in table[-1].split("|")]
    assert (cells[1], cells[3], cells[6:9]) == ("all", "73.3 min", ["63.3 min", "1 GiB", "2 GiB"])
    assert cells[9:11] == ["4 GiB", "2.4"]
    for line in (
        "For 60 min of it one process works", f"cost {3800 / 3600 * 4 * 2:.2g}.", "- this was assumed", "Not counted: ",
        "- pope, 9,000 items: 0.015", "- 0.25 s per answer", "7B parameters",
        "Memory is calculated", "Rates, none measured on this machine (`--measure` does so",
    ):  # fmt: skip
        assert line in text


def test_the_first_lines_name_the_generator_and_how_to_ask_for_the_papers():
    for side, small in ((64, True), (1024, False)):
        first, second = report(run(IMAGES, side=side), H100, []).split("\n\n")[:2]
        assert first.startswith("By params.yaml as it is: 1,000 captions,")
        assert "steps by sdxl," in first
        assert ("`python -m synthpairs preset paper`, then this command again" in second) == small


def test_the_command_prints_a_table_or_json_and_writes_nothing(change, capsys):
    assert main(["estimate"]) == 0
    text = capsys.readouterr().out
    assert "| on 2 CPU cores |" in text
    assert "of them |" not in text
    assert "| main memory |" in text
    assert "GPU memory |" not in text
    assert main(["estimate", "--json"]) == 0
    estimated = json.loads(capsys.readouterr().out)
    assert estimated["machine"] == {"gpu": "cpu", "gpus": 1, "price": None}
    images = next(row for row in estimated["rows"] if row["stage"] == "images")
    assert images["seconds"] == images["wall"] == pytest.approx(1040 * 8 * 0.0125)
    assert [path.name for path in Path().iterdir()] == ["params.yaml"]


def test_measured_rates(change, tiny_generator, tiny_clip, capsys):
    change(
        {
            "images.generator": str(tiny_generator),
            "images.image_size": 32,
            "images.batch_size": 4,
            "images.num_inference_steps": 2,
        }
    )
    change({"scores.clip": f"local-dir:{tiny_clip}", "scores.ssim.downscale_to": 11})
    assert main(["estimate", "--measure", "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    here = {stage for stage, row in rows.items() if row["rate"]["device"].startswith("this machine")}
    assert here == {"images", "scores"}
    assert 0 < rows["images"]["low"] <= rows["images"]["seconds"] <= rows["images"]["high"]
    assert "3 batches of 4 after one to warm up, one caption of 7 words" in rows["images"]["rate"]["source"]
