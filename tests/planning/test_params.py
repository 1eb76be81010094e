"""Single values of params.yaml, and the sizes of the models that they name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from synthpairs.planning.params import model_parameters, parameters
from synthpairs.planning.work import read_work
from tests.planning.conftest import Change

SOURCE = {
    "name": "cc3m", "path": "a.tsv", "format": "tsv", "columns": {"text": None, "image": None, "source": None},
    "images": None, "limit": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("images.steps", 0, "images.steps must be from 1 to 1000, got 0"),
        ("images.guidance", "no", "images.guidance must be of type float, got 'no'"),
        ("images", None, "images must be a mapping, got None"),
        ("align.epochs", float("inf"), "align.epochs must be from 0 to 1000, got inf"),
        ("align", None, "align.epochs is missing"),
        ("finetune.lora", 16, "finetune.lora must be a mapping, got 16"),
        ("captions.sources", ["corpora/a.tsv"], r"captions.sources\[0\] must be a mapping, got 'corpora/a.tsv'"),
        ("captions.sources", {"name": "cc3m"}, "captions.sources must be a list, got {'name': 'cc3m'}"),
        ("captions.sources", [SOURCE | {"limit": "100"}], r"sources\[0\].limit must be of type int, got '100'"),
        ("captions.sources", [SOURCE | {"columns": "text"}], r"sources\[0\].columns must be a mapping, got 'text'"),
        ("world.concepts", 5, "world.concepts must be a list, got 5"),
        ("code_arms", None, "code_arms must be a list, got None"),
        ("perplexity.models", None, "perplexity.models must be a list, got None"),
        (
            "benchmark.tasks.pictures",
            ["desk_captions"],
            r"pictures\[0\] must be one of desk_caption, .*'desk_captions'",
        ),
        ("suite", [], r"suite must be a mapping, got \[\]"),
        ("vlm.llm", 7, "vlm.llm must be of type str, got 7"),
    ],
)
def test_values_that_no_plan_can_be_made_of_are_named(
    params: Path, change: Change, key: str, value: Any, message: str
) -> None:
    change({key: value})
    with pytest.raises(ValueError, match=rf"params.yaml: .*{message}"):
        read_work(params, None, params.parent)


def test_a_missing_key_is_named(change: Change) -> None:
    with pytest.raises(ValueError, match=r"params.yaml: images.stepz is missing"):
        change().get("images.stepz", int)


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
    assert model_parameters(change(), "models/llm") == 135e6
    assert model_parameters(change(), "models/other") is None


def test_weights_that_are_not_whole_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version 1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match=r"model\.safetensors: no whole safetensors file"):
        parameters(str(tmp_path))
