"""The whole work of params.yaml: every switch adds the seconds that a calculation by hand says."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from synthpairs.planning.costs import Machine, estimates, together
from synthpairs.planning.work import Work, read_work
from tests.planning.conftest import ROOT, Change

A100 = Machine(gpu="A100", gpus=1, price=None)
CPU = Machine(gpu="cpu", gpus=1, price=None)
PAPER = {
    "images.side": 1024, "images.steps": 60, "images.guidance": 20.0, "vlm.llm": "lmsys/vicuna-7b-v1.5@abc",
    "captions.llm": "lmsys/vicuna-7b-v1.5@abc",
}  # fmt: skip
DRAFT = {"steps": 4, "keep": 1, "cosine_min": None, "clip": "x", "pretrained": None}
SERVER = {"model": "meta-llama/Meta-Llama-3-70B-Instruct", "extra": {}}
SERVED = {"engine": "server", "server": SERVER, "max_failed_share": 0.01}


def seconds(path: Path, machine: Machine = A100) -> float:
    return together(estimates(read_work(path, None, path.parent / "data").loads, machine, {})).seconds


def test_the_desks_params(params: Path, tmp_path: Path) -> None:
    work = read_work(params, None, tmp_path / "data")
    assert (work.captions, work.candidates, work.steps, work.side) == (1540, 1540, 12, 64)
    assert work.items["desk_vqa"] == 384
    stages = dict.fromkeys(load.stage for load in work.loads)
    assert list(stages) == [
        "captions",
        "images",
        "scores",
        "select",
        "audit",
        "align",
        "finetune",
        "benchmark",
        "perplexity",
        "embed",
    ]
    assert not work.notes


@pytest.mark.parametrize(
    ("switch", "more"),
    [
        # 1,540 captions of which 900 have a picture
        ({"captions.blip": {"model": "x", "min": 0.8, "max": 1.0}}, 900 * 0.018),
        ({"captions.perplexity.engine": "kenlm"}, 1540 * (5e-5 - 0.0037)),
        ({"captions.judge": SERVED}, 1540 * 0.022 * 9),  # ten times the parameters
        ({"captions.judge": SERVED | {"engine": "none"}}, -1540 * 0.022),
        # 1,540 pictures in 60 steps of 0.0985 s, 0.374 s beside them
        ({"images.refiner": {"model": "x", "base_share": 0.8}}, 1540 * 60 * 0.0985 * 0.2 * 0.08),
        ({"images.draft": DRAFT}, 1540 * (4 * 0.0985 + 0.374 + 0.02)),
        ({"images.long_prompts": "chunk", "captions.limits.words_max": 100}, 1540 * (60 * 0.0985 + 0.374)),
        ({"images.limit": 1000}, -540 * (60 * 0.0985 + 0.374 + 0.0053 + 9.6e-6 + 0.0062 + 0.006)),
        # 1,540 pictures and 256 real ones
        ({"audit.text": True}, 1796 * 0.6),
        ({"audit.nsfw": {"model": "x", "label": "nsfw", "min": 0.5, "batch": 32}}, 1796 * 0.006),
        ({"audit.cosine_min": None}, -1796 * 0.006),
        # four models with pictures, three more that see codes
        ({"suite.pictures": ["pope"]}, 4 * 9000 * 0.28),
        ({"suite.text": ["mmlu"]}, 7 * 14_042 * 115 * 6 * 1.5e-4),
        # 665,298 conversations in place of 440, for three arms
        ({"finetune.instructions": {"path": "no.json", "images": None}}, 3 * (665_298 - 440) * 0.433),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_switch_adds_what_a_calculation_by_hand_says(
    params: Path, change: Change, switch: dict[str, Any], more: float
) -> None:
    change(PAPER)
    before = seconds(params)
    change(switch)
    assert seconds(params) - before == pytest.approx(more, rel=1e-6)


def test_drafts_pay_where_few_of_many_candidates_are_painted(params: Path, change: Change) -> None:
    change(PAPER | {"images.candidates": 5})
    every = seconds(params)
    change({"images.draft": DRAFT})
    assert seconds(params) < 0.4 * every  # 20,000 s in place of 52,600


def test_the_desk_as_the_readme_has_it(params: Path, change: Change, tmp_path: Path) -> None:
    """README.md's seconds, with 6 s to start in place of 8: 741 pictures of 1,540 captions, three arms of 440 conversations."""
    data = tmp_path / "data"
    for name, rows in (("captions/kept", 741), ("screened/kept", 337)):
        (data / name).parent.mkdir(parents=True)
        pd.DataFrame({"uid": range(rows)}).to_parquet(data / f"{name}.parquet")
    found = estimates(read_work(params, None, data).loads, CPU, {})
    stages = {name: sum(one.seconds for one in found if one.stage == name) for name in {one.stage for one in found}}
    expected = {
        "captions": 158, "images": 119, "scores": 4 + 8, "finetune": 3 * 147, "benchmark": 4 * 76, "embed": 103
    }  # fmt: skip
    starts = {"finetune": 3, "benchmark": 4}
    for name, value in expected.items():
        assert stages[name] == pytest.approx(value - 2 * starts.get(name, 1), rel=0.03), name
    assert stages["align"] == 3 * 6
    assert stages["audit"] == pytest.approx(10, rel=0.2)  # loads CLIP alone, which starts faster than 6 s


@pytest.mark.parametrize("presets", [["paper"], ["paper", "better-synth"], ["smoke"], ["sdxl-lightning"]])
def test_presets_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presets: list[str]) -> None:
    from synthpairs.__main__ import main

    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    for preset in presets:
        assert main(["preset", preset]) == 0
    work: Work = read_work(Path("params.yaml"), None, Path("data"))
    parts = {(load.stage, load.part): load for load in work.loads}
    if presets[0] == "paper":
        assert work.candidates == (2_000_000 if "better-synth" in presets else 1_000_000)
        assert parts["captions", "BLIP"].pieces == 2_558_128  # every caption of both sources has a picture
        assert ("benchmark", "lmms-eval") in parts
        assert len(work.notes) == 1  # of the instructions, which are not there
