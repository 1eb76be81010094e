"""The command: a table for people, JSON for machines, one line for mistakes; and a measured warm-up."""

import json
import shutil
from pathlib import Path

import pytest

from synthpairs.__main__ import main
from synthpairs.planning.costs import Machine, estimates
from synthpairs.planning.load import Load
from synthpairs.planning.page import told
from synthpairs.planning.work import Work

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tables_are_aligned_and_nothing_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--captions", "1000", "--gpu", "H100", "--gpus", "8", "--price", "2.5"]) == 0
    shown = capsys.readouterr().out
    assert [path.name for path in project.iterdir()] == ["params.yaml"]
    assert "1,000 captions (as asked for by --captions)" in shown
    assert "| on 1 H100 |" in shown
    assert "| on 8 of them |" in shown
    assert "2.5 (1.5 to 4.8) times an A100" in shown
    table = [line for line in shown.split("\n\n")[1].splitlines() if "---" not in line]
    assert len({len(line) for line in table}) == 1
    for name in ("captions", "images", "scores", "select", "align", "finetune", "benchmark", "embed", "all"):
        assert any(row.startswith(f"| {name} ") for row in table), name


def test_machines_get_the_same_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["machine"] == {"gpu": "cpu", "gpus": 1, "price": None}
    images = next(one for one in plan["stages"] if one["stage"] == "images")
    assert images["seconds"] == pytest.approx(6 + 1540 * 12 * 0.0125)
    assert images["hours"] == pytest.approx(images["seconds"] / 3600)
    assert [one["task"] for one in plan["effects"]] == [
        task for task in plan["work"]["items"] if task != "desk_caption"
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--captions", "0"], "--captions must be at least 1, got 0"),
        (["--gpu", "TPU"], "--gpu must be one of cpu, A100"),
    ],
)
def test_mistakes_are_one_line(
    project: Path, caplog: pytest.LogCaptureFixture, arguments: list[str], line: str
) -> None:
    assert main(["plan", *arguments]) == 1
    assert line in caplog.text


def test_a_measured_plan(
    project: Path, tiny_generator: Path, tiny_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (project / "params.yaml").read_text()
    for old, new in (
        ("generator: models/desk/generator", f"generator: {tiny_generator}"),
        ("clip: local-dir:models/desk/clip ", f"clip: local-dir:{tiny_clip} "),
        ("side: 64                          # pixels, a m", "side: 32  # m"),
        ("batch: 32                         # pictures", "batch: 4  #"),
        ("steps: 12 ", "steps: 2 "),
        ("down: 48 ", "down: 11 "),
    ):
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)
    assert main(["plan", "--measure", "--json"]) == 0
    stages = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    assert {name for name, one in stages.items() if one["measured"]} == {"images", "scores"}
    assert 0 < stages["images"]["low"] <= stages["images"]["seconds"] <= stages["images"]["high"]
    assert "3 batches of 4" in stages["images"]["rate"]["source"]


def test_times_money_and_assumptions_in_words() -> None:
    """800 s of pictures are shared by 4 GPUs, 3,600 s of answers are one's: 3,800 s for which four are paid."""
    loads = [
        Load(stage="images", rate="images", pieces=0, items=800 / 0.374),
        Load(stage="benchmark", part="own", rate="benchmark", pieces=4 * 3600, disk=2**30),
    ]
    work = Work(
        captions=1000, told="by hand", candidates=2000, steps=3, side=64, arms=["real"], items={}, llm_parameters=7e9,
        loads=loads, notes=["this was assumed"],
    )  # fmt: skip
    machine = Machine(gpu="A100", gpus=4, price=2.0)
    shown = told(work, machine, estimates(loads, machine, {}), [])
    all_row = next(line for line in shown.splitlines() if line.startswith("| all "))
    cells = [cell.strip() for cell in all_row.split("|")]
    assert cells[3] == "73.3 min"
    assert cells[6:9] == ["63.3 min", "1 GiB", "2.4"]
    assert "In 60 min of it one process works" in shown
    assert f"all 4 for all that time cost {3800 / 3600 * 4 * 2:.2g}." in shown
    assert "- this was assumed" in shown
    assert "language model: 7B parameters" in shown
    assert "Smallest difference" not in shown


def test_one_machine_part_has_no_column_for_several(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan"]) == 0
    shown = capsys.readouterr().out
    assert "| on 2 CPU cores |" in shown
    assert "of them |" not in shown
    assert "one process works" not in shown
    assert "135M parameters" in shown
