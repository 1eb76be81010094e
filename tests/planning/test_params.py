"""Single values of params.yaml, and the sizes of the models that they name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from synthpairs.planning.params import model_parameters, parameters
from tests.planning.conftest import Change


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("images.steps", 0, "images.steps must be a number >= 1, got 0"),
        ("images.steps", True, "images.steps must be a number >= 1, got True"),
        ("images.steps", "no", "images.steps must be a number >= 1, got 'no'"),
        ("images.steps", float("inf"), "images.steps must be a number >= 1, got inf"),
    ],
)
def test_nonsense_is_named(change: Change, key: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        change({key: value}).count(key)


def test_a_missing_key_is_named(change: Change) -> None:
    with pytest.raises(ValueError, match=r"params.yaml: images.stepz is missing"):
        change().get("images.stepz")


def test_the_size_of_a_model(tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 5), np.float16), "b": np.zeros(7, np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert parameters(str(tmp_path)) == 22
    assert parameters("lmsys/vicuna-7b-v1.5@abc1b2b") == 7e9
    assert parameters("HuggingFaceTB/SmolLM2-135M-Instruct@main") == 135e6
    assert parameters("Qwen/Qwen2.5-0.5B@main") == 0.5e9
    assert parameters("models/llm-that-is-not-there") is None


def test_a_model_that_a_stage_has_yet_to_make(change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_parameters(change(), "vlm.llm") == 135e6
    assert model_parameters(change({"vlm.llm": "models/other"}), "vlm.llm") is None
