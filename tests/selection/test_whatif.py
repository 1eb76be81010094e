"""Another selection without a picture read; stability against the two cases in which it is known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthpairs.__main__ import main
from synthpairs.selection.params import Select
from synthpairs.selection.whatif import changed, stability, told, what_if
from synthpairs.storage import read_table

Settings = Callable[..., Select]


def candidates(count: int, score: np.ndarray) -> pd.DataFrame:
    keys = [f"{number:05d}" for number in range(count)]
    return pd.DataFrame({"key": keys, "uid": keys, "concept": "bus", "clip_cosine": score, "ssim": 0.0})


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


def test_all_are_selected_again_where_all_are_taken(settings: Settings) -> None:
    table = candidates(50, np.linspace(0.1, 0.4, 50))
    assert stability(table, settings(k=50, ssim_weight=0.0)) == 1


def test_stability_is_what_a_plain_bootstrap_finds(settings: Settings) -> None:
    table, params = candidates(60, np.random.default_rng(1).uniform(0.1, 0.4, 60)), settings(k=15, ssim_weight=0.0)
    order = table.sort_values("clip_cosine", ascending=False)["uid"].tolist()
    rng, kept, seen = np.random.default_rng(2), 0, 0
    for _ in range(400):
        drawn = sorted(rng.integers(60, size=60))  # places in the order
        top = set(drawn[:15])  # of sixty copies the share of fifteen in sixty
        there = {place for place in drawn if place < 15}
        kept, seen = kept + len(there & top), seen + len(there)
    assert len(order) == 60
    assert stability(table, params, 400) == pytest.approx(kept / seen, abs=0.02)


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
