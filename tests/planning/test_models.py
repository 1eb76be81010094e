"""Trainings, and the questions that models are asked."""

import json
from pathlib import Path

import pytest

from synthpairs.planning.load import Load
from synthpairs.planning.models import (
    MIX_665K,
    adapter_notes,
    conversations,
    own_items,
    question_loads,
    suite_items,
    training_loads,
)
from tests.planning.conftest import Change

MIX = {"path": "mix.json", "images": None}


def questions(change: Change, values: dict) -> tuple[dict[str, Load], list[str]]:
    loads, notes = question_loads(change(values), 3, 2, 7e9)
    return {load.part: load for load in loads}, notes


def test_conversations_of_the_desk_of_a_file_and_of_none(
    change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert conversations(change()) == (440, [])
    count, (note,) = conversations(change({"finetune.instructions": MIX}))
    assert count == MIX_665K
    assert "mix.json is not there; taken to hold LLaVA-1.5's 665,298" in note
    turns = [{"from": "human", "value": 'what is "conversations": for?'}, {"from": "gpt", "value": "conversations"}]
    rows = [{"id": str(number), "conversations": turns} for number in range(7)]
    for indent in (None, 2):
        Path("mix.json").write_text(json.dumps(rows, indent=indent))
        assert conversations(change()) == (7, [])
    Path("mix.json").write_text("")
    assert conversations(change())[0] == MIX_665K


def test_every_arm_is_trained(change: Change) -> None:
    align, finetune = training_loads(change({"align.max_steps": None}), 256, 440, 3, 7e9)
    assert (align.pieces, finetune.pieces, align.size) == (3 * 256, 3 * 440, 7e9)
    assert finetune.disk == 7e9 * (3 * 4 + 24)
    align, _ = training_loads(change({"align.max_steps": 10}), 256, 440, 3, None)
    assert align.pieces == 3 * 40  # 10 steps of 4 pairs
    align, _ = training_loads(change({"align.max_steps": None, "align.epochs": 2}), 256, 440, 3, None)
    assert align.pieces == 3 * 512


def test_adapters_keep_small_checkpoints_and_their_time_is_not_known(change: Change) -> None:
    assert adapter_notes(change()) == []
    lora = {"rank": 128, "alpha": 256, "dropout": 0.0, "quantize": None}
    _, finetune = training_loads(change({"finetune.lora": lora}), 256, 440, 3, 7e9)
    assert finetune.disk == pytest.approx(7e9 * (3 * 4 + 24 * 128 * 3.7e-4))
    assert finetune.pieces == 3 * 440
    (note,) = adapter_notes(change({"finetune.lora": lora}))
    assert "full training" in note
    assert "4 bits" not in note
    assert "4 bits" in adapter_notes(change({"finetune.lora": lora | {"quantize": "nf4"}}))[0]


def test_own_benchmarks_are_asked_twice(change: Change) -> None:
    assert own_items(change()) == {
        "desk_caption": 300,
        "desk_pope": 384,
        "desk_sqa": 304,
        "desk_text": 300,
        "desk_vqa": 384,
    }
    loads, notes = questions(change, {})
    assert set(loads) == {"own", ""}  # the latter of the stage `perplexity`
    assert loads["own"].pieces == 1672 * 2 * 4
    assert not notes


def test_the_suite(change: Change) -> None:
    """Four models see pictures; those that see through codes read text too. A question of MMLU is read behind 5 others."""
    loads, notes = questions(change, {"suite.pictures": ["pope", "gqa"], "suite.text": ["mmlu"]})
    assert loads["lmms-eval"].pieces == 4 * (9_000 + 12_578)
    assert loads["lmms-eval"].starts == 4 * 2
    assert loads["lm-eval"].pieces == 6 * 14_042 * 115 * 6
    assert not notes
    loads, _ = questions(change, {"suite.limit": 10, "suite.shots": 0})
    assert loads["lmms-eval"].pieces == 4 * 20
    assert loads["lm-eval"].pieces == 6 * 57 * 10 * 115
    loads, _ = questions(change, {"perplexity.models": ["a", "b"], "perplexity.tokens": 1000})
    assert loads[""].pieces == 2 * 1000


def test_a_task_of_unknown_size_is_named(change: Change) -> None:
    loads, (note,) = questions(change, {"suite.pictures": ["pope", "mine"], "suite.text": ["theirs"]})
    assert "mine, theirs" in note
    assert loads["lmms-eval"].pieces == 4 * 9_000
    loads, (note,) = questions(change, {"suite.limit": 10})
    assert loads["lmms-eval"].pieces == 4 * 20  # as many as it has, or ten
    assert note.count("mine") == 0


def test_effects_are_told_of_what_is_right_or_wrong(change: Change) -> None:
    params = change({"suite.pictures": ["pope", "mmvet", "mine"], "suite.text": ["mmlu"]})
    assert suite_items(params) == {"pope": 9_000, "mmlu": 14_042}
