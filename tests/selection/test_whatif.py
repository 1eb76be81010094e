"""Another selection without a picture read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from synthpairs.__main__ import main
from synthpairs.selection.params import Select
from synthpairs.selection.whatif import changed, told, what_if
from synthpairs.storage import read_table

Settings = Callable[..., Select]


def test_the_same_params_select_the_same(data: Path, settings: Settings) -> None:
    found = what_if(settings(), settings(), data)
    assert found.shared == len(found.now) == len(found.then) == 3
    assert found.stability[0] == found.stability[1]


def test_other_params_select_others(data: Path, settings: Settings) -> None:
    found = what_if(settings(), settings(strategy="rear", k=4), data)
    assert (len(found.now), len(found.then)) == (3, 4)
    assert found.shared == len(set(found.now["key"]) & set(found.then["key"])) < 3
    assert found.then["clip_cosine"].mean() < found.now["clip_cosine"].mean()
    page = told(found, read_table(data / "captions/kept.parquet", "it"))
    assert "| pairs | 3 | 4 |" in page
    assert "| of model captions | 3 | 4 |" in page
    assert f"{found.shared:,} pairs are in both" in page


def test_pictures_are_not_read(data: Path, settings: Settings) -> None:
    for shard in (data / "images").glob("*.tar"):
        shard.unlink()
    assert what_if(settings(), settings(k=2), data).shared == 2


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("k", "NAME=VALUE with a NAME of strategy"),
        ("size=3", "got 'size=3'"),
        ("k=many", r"^select\.k must be of type int, got 'many'"),
        ("strategy=best", r"^select\.strategy must be one of top"),
        ("k=[", "is not valid YAML"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, settings: Settings, value: str, fault: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("select: {strategy: top, fusion: sum, k: 3, clip_weight: 1.0, clip_scale: 1.0, ssim_weight: 0.5, "
                    "best_of: true, per_concept: null, seed: 0, samples_per_shard: 2}\n")  # fmt: skip
    assert changed(settings(), file, ["k=5", "fusion=rank"]) == settings(k=5, fusion="rank")
    with pytest.raises(ValueError, match=fault):
        changed(settings(), file, [value])


def test_the_command(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(data.parent)
    Path("params.yaml").write_text("select: {strategy: top, fusion: sum, k: 3, clip_weight: 1.0, clip_scale: 1.0, "
                                   "ssim_weight: 0.5, best_of: true, per_concept: null, seed: 0, "
                                   "samples_per_shard: 2}\n")  # fmt: skip
    before = Path("params.yaml").read_bytes()
    assert main(["whatif", "clip_scale=2.5", "k=2"]) == 0
    assert "| pairs | 3 | 2 |" in capsys.readouterr().out
    assert Path("params.yaml").read_bytes() == before
