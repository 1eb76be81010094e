"""Publishing the desk models: what is too large for git is refused, old weights are replaced, the card tells the measures."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pretrain import publish


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with trained models of a few bytes."""
    monkeypatch.chdir(tmp_path)
    for part in publish.PARTS:
        (tmp_path / publish.TRAINED / part).mkdir(parents=True)
        (tmp_path / publish.TRAINED / part / "model.safetensors").write_bytes(part.encode())
    (tmp_path / "pretrain").mkdir()
    share = {"n": 2, "recall_at_1": 0.5, "recall_at_5": 1.0}
    named = {"n": 4, "top_1": 0.25, "top_5": 0.75}
    metrics = {
        "clip": {"heldout_combination": share, "heldout_style": share},
        "generator": named,
        "referee_on_real": named,
    }
    (tmp_path / "pretrain/metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "pretrain/reader.json").write_text(json.dumps({"existence": {"in_words": 0.97}}))
    (tmp_path / "pretrain/samples.png").write_bytes(b"png")
    table = pd.DataFrame(
        {
            "name": ["dog", "dog"],
            "style": ["noto", "flat"],
            "licence": ["Apache-2.0", "MIT"],
            "split": "train",
            "png": [b"1", b"2"],
        }
    )
    monkeypatch.setattr(publish, "load_drawings", lambda: table)
    monkeypatch.setattr(publish, "trained_concepts", lambda: ["dog"])
    training = {"minutes": 3}
    spec = {
        "clip": training,
        "generator": training,
        "reader": training,
        "autoencoder": training | {"decoder": training},
        "seed": 0,
    }
    monkeypatch.setattr(publish, "params", lambda: spec)
    return tmp_path


def test_old_weights_are_replaced_not_kept_beside(project: Path) -> None:
    stale = project / publish.DESK / "clip/old.safetensors"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    publish.main()
    assert not stale.exists()
    assert (project / publish.DESK / "clip/model.safetensors").read_bytes() == b"clip"
    assert json.loads((project / publish.DESK / "metrics.json").read_text())["generator"]["top_5"] == 0.75


def test_card_names_measures_and_licences(project: Path) -> None:
    publish.main()
    card = (project / publish.DESK / "README.md").read_text()
    assert "| referee names the generated picture's concept | 4 | 0.25 | 0.75 |" in card
    assert "| flat | MIT |" in card


def test_a_file_too_large_for_git_is_refused_and_nothing_is_replaced(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "FILE_LIMIT", 3)
    with pytest.raises(ValueError, match=r"too large for git: .*clip/model\.safetensors"):
        publish.main()
    assert not (project / publish.DESK).exists()
