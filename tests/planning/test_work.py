"""Work as params.yaml and the data that is there say it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from synthpairs.planning.work import parameters, read_work

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


def changed(path: Path, *values: tuple[str, str]) -> Path:
    text = path.read_text()
    for old, new in values:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_the_desks_params(params: Path, tmp_path: Path) -> None:
    work = read_work(params, None, tmp_path / "data")
    assert (work.read, work.captions, work.candidates) == (900 + 10 * 64, 1540, 1540)
    assert (work.align, work.finetune, work.pairs) == (0, 440, 256)
    assert work.items == {"desk_caption": 300, "desk_pope": 384, "desk_sqa": 304, "desk_text": 300, "desk_vqa": 384}
    assert work.answers == 1672 * 2 * 4
    assert work.grids == 64 * 6 * 3
    assert "not known before they run" in work.told


def test_what_is_there_is_counted(params: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, rows in (("captions/kept", 741), ("screened/kept", 337), ("images/manifest", 4)):
        (data / name).parent.mkdir(parents=True)
        pd.DataFrame({"uid": range(rows)}).to_parquet(data / f"{name}.parquet")
    (data / "images/shard-1.tar").write_bytes(bytes(1000))
    (data / "images/shard-2.tar").write_bytes(bytes(3000))
    work = read_work(params, None, data)
    assert (work.captions, work.grids, work.picture_bytes) == (741, 1011, 1000)
    assert read_work(params, 5, data).captions == 5


def test_steps_limit_a_training(params: Path, tmp_path: Path) -> None:
    work = read_work(changed(params, ("max_steps: 0 ", "max_steps: 10 ")), None, tmp_path)
    assert work.align == 40  # 10 steps of 4 pairs


def test_a_source_without_a_limit_asks_for_a_number(params: Path, tmp_path: Path) -> None:
    source = "  sources: [{name: cc3m, path: x, format: tsv, images: null, limit: null, columns: {}}]"
    changed(params, ("  sources: []", source))
    with pytest.raises(ValueError, match=r"captions.sources: cc3m has no limit, .* `--captions N`"):
        read_work(params, None, tmp_path)
    assert read_work(params, 10_000, tmp_path).read == 10_000
    changed(params, ("limit: null, columns", "limit: 3000, columns"))
    assert read_work(params, None, tmp_path).read == 4540


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n  steps: 12 ", "\n  steps: 0 ", "images.steps must be a number >= 1, got 0"),
        ("\n  guidance: 3.0 ", "\n  guidance: -1 ", "images.guidance must be a number >= 0, got -1"),
        ("\n  side: 64 ", "\n  side: no ", "images.side must be a number >= 8, got 'no'"),
        ("\n  steps: 12 ", "\n  stepz: 12 ", "images.steps is missing"),
    ],
)
def test_nonsense_is_named(params: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    head, section, rest = params.read_text().partition("\nimages:")
    params.write_text(head + section + rest.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_work(params, None, tmp_path)


def test_the_size_of_a_model(tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 5), np.float16), "b": np.zeros(7, np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert parameters(str(tmp_path)) == 22
    assert parameters("lmsys/vicuna-7b-v1.5@abc1b2b") == 7e9
    assert parameters("HuggingFaceTB/SmolLM2-135M-Instruct@main") == 135e6
    assert parameters("Qwen/Qwen2.5-0.5B@main") == 0.5e9
    assert parameters("models/llm-that-is-not-there") is None
