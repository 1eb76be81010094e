import json
import shutil

import pandas as pd
import pytest

from desk_models import publish
from desk_models.publish import DESK, METRICS, PARTS, TRAINED
from synthpairs.core.storage import write_bytes, write_json

SHARE = {"n": 2, "recall_at_1": 0.5, "recall_at_5": 1.0}
NAMED = {"n": 4, "top_1": 0.25, "top_5": 0.75}
CLIPS = {name: {"heldout_combination": SHARE, "heldout_style": SHARE} for name in ("clip", "second_clip")}
MASKED = NAMED | {"top_1": 0.5, "psnr_db": 21.5, "codes_used": 0.9}
MEASURED = CLIPS | {"generator": NAMED, "masked": MASKED, "referee_on_real": NAMED}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Trained models of a few bytes in the current directory."""
    monkeypatch.chdir(tmp_path)
    for part in PARTS:
        write_bytes(TRAINED / part / "model.safetensors", part.encode())
    write_json(TRAINED / "masked/pairs.json", {"sha256": "5afe", "scenes": 30})
    write_json(METRICS, MEASURED)
    write_json(METRICS.with_name("adapter.json"), {"existence": {"in_words": 0.97}})
    for name in ("samples.png", "masked_samples.png"):
        write_bytes(METRICS.with_name(name), name.encode())
    table = pd.DataFrame({
        "name": "dog", "style": ["noto", "flat", "fox", "openmoji"], "licence": ["Apache-2.0", "MIT", "MIT", "CC-BY-SA-4.0"],
        "split": ["train", "train", "heldout_combination", "heldout_style"], "png": [b"1", b"2", b"3", b"4"],
    })  # fmt: skip
    spec = {part: {"minutes": 3} for part in (*PARTS, "tokenizer")}
    spec |= {"autoencoder": {"minutes": 3, "decoder": {"minutes": 3}}, "seed": 0}
    for name, value in {"load_drawings": table, "trained_concepts": ["dog"], "params": spec}.items():
        monkeypatch.setattr(publish, name, lambda value=value: value)


def weights(part):
    return (DESK / part / "model.safetensors").read_bytes()


def test_weights_are_replaced_and_the_card_has_metrics_and_licences():
    write_bytes(DESK / "clip/old.safetensors", b"old")
    publish.main([])
    assert [path.name for path in (DESK / "clip").iterdir()] == ["model.safetensors"]
    assert weights("clip") == b"clip"
    assert json.loads((DESK / "metrics.json").read_text()) == MEASURED
    card = (DESK / "README.md").read_text()
    assert [text for text in (
        "1 concepts (2 drawings). Nothing else was used. Held out from every training: of each concept one drawing in a "
        "training style (1, held-out combinations), and all in openmoji (1, held-out style).",
        "| referee names the generated picture's concept | 4 | 0.25 | 0.75 |",
        "| referee names the decoded tokens' concept | 4 | 0.5 | 0.75 |",
        "at 21.5 dB (PSNR), with a share of 0.9 of its codebook",
        "the 30 pairs whose list has the SHA-256 `5afe`",
        "generator 3, tokenizer 3, masked 3, adapter 3",
        "| flat | MIT |",
    ) if text not in card] == []  # fmt: skip
    files = ["README.md", "adapter.json", "masked_samples.png", "metrics.json", "samples.png"]
    assert sorted(file.name for file in DESK.glob("*.*")) == files


def test_one_part_is_published_and_the_others_stay():
    old = ("clip", "vision_tower", "generator", "adapter")
    publish.main(old)
    before = (DESK / "README.md").read_text()
    assert "masked" not in before
    assert not (DESK / "masked_samples.png").exists()
    for part in old:  # the others need not have been trained
        shutil.rmtree(TRAINED / part)
    publish.main(["masked"])
    assert all(weights(part) == part.encode() for part in (*old, "masked"))
    after = (DESK / "README.md").read_text().splitlines()
    assert all(line in after for line in before.splitlines() if not line.startswith("Minutes"))
    assert (DESK / "masked_samples.png").read_bytes() == b"masked_samples.png"


def test_errors_replace_nothing(monkeypatch):
    publish.main(["clip", "vision_tower"])
    write_bytes(TRAINED / "clip/model.safetensors", b"another")
    with pytest.raises(
        ValueError, match="no part 'mask'; parts are clip, second_clip, vision_tower, generator, masked, adapter"
    ):
        publish.main(["clip", "mask"])
    write_json(METRICS, {name: one for name, one in MEASURED.items() if name != "masked"})
    with pytest.raises(ValueError, match=r"no metrics of masked: run `python -m desk_models\.measure masked` first"):
        publish.main(["clip", "masked"])
    monkeypatch.setattr(publish, "TOTAL_LIMIT", 15)  # what stays counts
    with pytest.raises(ValueError, match="too large for git: all together"):
        publish.main(["clip", "adapter"])
    monkeypatch.setattr(publish, "FILE_LIMIT", 5)
    with pytest.raises(ValueError, match=r"too large for git: .*adapter/model\.safetensors"):
        publish.main(["clip", "adapter"])
    shutil.rmtree(TRAINED / "clip")
    with pytest.raises(FileNotFoundError, match=r"trained/clip is missing: run `dvc --cd desk_models repro`"):
        publish.main(["clip"])
    assert weights("clip") == b"clip"
    assert not (DESK / "adapter").exists()
