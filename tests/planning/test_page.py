"""The command: a table for people, JSON for machines, one line for mistakes; and a measured warm-up."""

import json
import re
import shutil
from pathlib import Path

import pytest

from synthpairs.__main__ import main
from synthpairs.planning.rates import DESK, GPUS, PAPER, SELECT

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
    assert "hours on 8 x H100" in shown
    assert "2.5 (1.5 to 4.8) times an A100" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ") and "---" not in line]
    stages = [row for row in rows if re.match(r"\| (stage|captions|images|all) .*\d|\| stage", row)]
    assert (
        len({len(row) for row in stages[:1] + [row for row in stages if row.count("|") == stages[0].count("|")]}) == 1
    )
    for name in ("captions", "images", "scores", "select", "align", "finetune", "benchmark", "embed", "all"):
        assert any(row.startswith(f"| {name} ") for row in rows), name


def test_machines_get_the_same_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["machine"] == {"gpu": "cpu", "gpus": 1, "price": None}
    images = next(one for one in plan["stages"] if one["stage"] == "images")
    assert images["seconds"] == pytest.approx(8 + 1540 * 12 * 0.0125)
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


def test_every_rate_names_its_hardware_and_its_source() -> None:
    for rate in [*DESK.values(), *PAPER.values(), SELECT]:
        assert 0 < rate.low < 1 < rate.high
        assert min(len(rate.hardware), len(rate.source), len(rate.piece)) > 5
    assert all(gpu.low <= gpu.speed <= gpu.high and gpu.source for gpu in GPUS.values())
