"""Publishing the desk models: what is too large for git is refused, old weights are replaced, the card tells the measures."""

import json
import shutil

import pandas as pd
import pytest

from desk_models import publish


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with trained models of a few bytes."""
    monkeypatch.chdir(tmp_path)
    for part in publish.PARTS:
        (tmp_path / publish.TRAINED / part).mkdir(parents=True)
        (tmp_path / publish.TRAINED / part / "model.safetensors").write_bytes(part.encode())
    (tmp_path / "desk_models").mkdir(exist_ok=True)
    share = {"n": 2, "recall_at_1": 0.5, "recall_at_5": 1.0}
    named = {"n": 4, "top_1": 0.25, "top_5": 0.75}
    metrics = {
        "clip": {"heldout_combination": share, "heldout_style": share},
        "second_clip": {"heldout_combination": share, "heldout_style": share},
        "generator": named,
        "masked": named | {"top_1": 0.5, "psnr_db": 21.5, "codes_used": 0.9},
        "referee_on_real": named,
    }
    (tmp_path / "desk_models/metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "desk_models/reader.json").write_text(json.dumps({"existence": {"in_words": 0.97}}))
    (tmp_path / "desk_models/samples.png").write_bytes(b"png")
    (tmp_path / "desk_models/masked_samples.png").write_bytes(b"masked png")
    (tmp_path / "desk_models/trained/masked/pairs.json").write_text('{"sha256": "5afe", "scenes": 30}')
    table = pd.DataFrame({"name": ["dog", "dog"], "style": ["noto", "flat"], "licence": ["Apache-2.0", "MIT"],
                          "split": "train", "png": [b"1", b"2"]})  # fmt: skip
    monkeypatch.setattr(publish, "load_drawings", lambda: table)
    monkeypatch.setattr(publish, "trained_concepts", lambda: ["dog"])
    training = {"minutes": 3}
    spec = dict.fromkeys((*publish.PARTS, "tokenizer"), training)
    spec |= {"autoencoder": training | {"decoder": training}, "seed": 0}
    monkeypatch.setattr(publish, "params", lambda: spec)
    return tmp_path


def test_old_weights_are_replaced_not_kept_beside(project):
    stale = project / publish.DESK / "clip/old.safetensors"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    publish.main([])
    assert not stale.exists()
    assert (project / publish.DESK / "clip/model.safetensors").read_bytes() == b"clip"
    assert json.loads((project / publish.DESK / "metrics.json").read_text())["generator"]["top_5"] == 0.75


def test_card_names_measures_and_licences(project):
    publish.main([])
    card = (project / publish.DESK / "README.md").read_text()
    assert "| referee names the generated picture's concept | 4 | 0.25 | 0.75 |" in card
    assert "| referee names the decoded tokens' concept | 4 | 0.5 | 0.75 |" in card
    assert "at 21.5 dB (PSNR), with a share of 0.9 of its codes" in card
    assert "the 30 pairs whose list has the SHA-256 `5afe`" in card
    assert "generator 3, tokenizer 3, masked 3, reader 3" in card
    assert "| flat | MIT |" in card
    assert [file.name for file in sorted((project / publish.DESK).glob("*.*"))] == [
        "README.md", "masked_samples.png", "metrics.json", "reader.json", "samples.png",
    ]  # fmt: skip


def test_one_part_is_published_and_the_others_stay(project):
    old = ("clip", "eye", "generator", "reader")
    publish.main(old)
    desk = project / publish.DESK
    before = (desk / "README.md").read_text()
    assert "masked" not in before
    assert not (desk / "masked_samples.png").exists()
    for part in old:  # whoever trains one model need not have the others
        shutil.rmtree(project / publish.TRAINED / part)
    publish.main(["masked"])
    assert (desk / "masked/model.safetensors").read_bytes() == b"masked"
    assert all((desk / part / "model.safetensors").read_bytes() == part.encode() for part in old)
    after = (desk / "README.md").read_text().splitlines()
    assert all(line in after for line in before.splitlines() if not line.startswith("Minutes"))
    assert (desk / "masked_samples.png").read_bytes() == b"masked png"


def test_what_cannot_be_published_is_refused_and_nothing_is_replaced(project):
    publish.main(["clip"])
    with pytest.raises(ValueError, match="no part 'mask'; parts are clip, second_clip, eye, generator, masked, reader"):
        publish.main(["clip", "mask"])
    metrics = json.loads((project / "desk_models/metrics.json").read_text())
    del metrics["masked"]
    (project / "desk_models/metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=r"how good masked is: run `python -m desk_models\.measure masked` first"):
        publish.main(["clip", "masked"])
    shutil.rmtree(project / publish.TRAINED / "clip")
    with pytest.raises(
        FileNotFoundError, match=r"desk_models/trained/clip is missing: run `dvc --cd desk_models repro`"
    ):
        publish.main(["clip"])
    assert (project / publish.DESK / "clip/model.safetensors").read_bytes() == b"clip"


def test_what_is_too_large_for_git_is_refused_and_nothing_is_replaced(project, monkeypatch):
    publish.main(["clip", "eye"])
    monkeypatch.setattr(publish, "TOTAL_LIMIT", 10)  # what stays counts
    with pytest.raises(ValueError, match="too large for git: all together"):
        publish.main(["eye", "reader"])
    monkeypatch.setattr(publish, "FILE_LIMIT", 3)
    with pytest.raises(ValueError, match=r"too large for git: .*reader/model\.safetensors"):
        publish.main(["reader"])
    assert not (project / publish.DESK / "reader").exists()
