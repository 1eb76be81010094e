"""The images stage: byte-exact shards, resumption, failures that cost only themselves."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import images as stage
from synthpairs.core.schema import CANDIDATES, caption_uid, noise_seed
from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion import make
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import make_images
from tests.conftest import killed_with_work
from tests.generation.diffusion.conftest import TEXTS, captions_of


def contents(folder):
    """Every file's hash by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_candidates_keep_their_keys_and_captions(settings, captions, tmp_path):
    metrics, volatile = make_images(captions, settings(), tmp_path / "out")
    assert metrics == {"captions": 8, "candidates": 16, "made": 16, "failed": 0, "prompts_truncated": 0}
    assert volatile == {"reused": 0}
    manifest = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert list(manifest.columns) == CANDIDATES.names
    assert manifest["key"].is_unique
    assert manifest["key"].is_monotonic_increasing
    assert manifest["seed"].is_unique
    assert manifest["seed"].tolist() == manifest["key"].map(noise_seed).tolist()
    assert manifest["sha256"].is_unique, "two candidates share a picture, so they shared their noise"
    assert manifest.groupby("uid")["number"].agg(sorted).tolist() == [[0, 1]] * 8
    told = json.loads((tmp_path / "out/generator.json").read_text())
    assert set(manifest["generator"]) == {told["fingerprint"]}
    rows = manifest.set_index("key")
    seen = []
    for shard in sorted(set(manifest["shard"])):
        for key, members in read_shard(tmp_path / "out" / shard):
            seen.append(key)
            row = rows.loc[key]
            assert row["shard"] == shard
            assert members["txt"].decode() == row["text"]
            assert caption_uid(members["txt"].decode(), "model") == row["uid"]
            assert hashlib.sha256(members["png"]).hexdigest() == row["sha256"]
            document = json.loads(members["json"])
            assert (document["key"], document["uid"], document["number"]) == (key, row["uid"], row["number"])
    assert sorted(seen) == manifest["key"].tolist()


def test_written_twice_byte_for_byte(settings, captions, tmp_path, monkeypatch):
    make_images(captions, settings(), tmp_path / "one")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions.sample(frac=1, random_state=1), settings(), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_version_of_the_recipe_makes_all_anew_and_an_edit_beside_it_nothing(
    settings, captions, tmp_path, monkeypatch, edit_code
):
    make_images(captions, settings(), tmp_path / "out")
    first = set(pd.read_parquet(tmp_path / "out/manifest.parquet")["key"])
    edit_code()
    assert make_images(captions, settings(), tmp_path / "out")[1] == {"reused": len(first)}
    for module in ("generator", "make"):
        monkeypatch.setattr(f"synthpairs.generation.diffusion.{module}.RECIPE", 2)
    assert make_images(captions, settings(), tmp_path / "out")[1] == {"reused": 0}
    assert first.isdisjoint(pd.read_parquet(tmp_path / "out/manifest.parquet")["key"])


PROGRAM = """
import sys
from pathlib import Path
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from tests.generation.diffusion.conftest import TEXTS, captions_of
make_images(captions_of(TEXTS), Images(**{params!r}), Path({out!r}))
"""


def test_killed_and_run_again_gives_the_same_bytes(settings, tmp_path, monkeypatch):
    params = settings(batch=2, candidates=3, steps=12)
    program = PROGRAM.format(
        params={name: getattr(params, name) for name in params.__slots__}, out=str(tmp_path / "out")
    )
    work = tmp_path / ".dvc/tmp/work/images"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    stored = killed_with_work(program, work)
    assert 0 < len(stored) < 12
    assert not (tmp_path / "out/manifest.parquet").exists()
    stored[0].write_bytes(stored[0].read_bytes()[:1500])  # as a full disk or a broken one leaves it
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "is damaged and its pictures are made again" in done.stderr
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions_of(TEXTS), params, tmp_path / "reference")
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")


def test_damaged_pieces_are_made_again(settings, captions, tmp_path):
    make_images(captions, settings(), tmp_path / "out")
    whole = contents(tmp_path / "out")
    pieces = sorted((tmp_path / ".dvc/tmp/work/images").glob("*/*/*.tar"))
    payload = bytearray(pieces[0].read_bytes())
    payload[700] ^= 1  # inside the first picture
    pieces[0].write_bytes(payload)
    pieces[1].write_bytes(b"")
    pieces[2].write_bytes(pieces[2].read_bytes()[:1024])
    _, volatile = make_images(captions, settings(), tmp_path / "out")
    assert volatile == {"reused": 4}
    assert contents(tmp_path / "out") == whole


class Fussy(Generator):
    """Takes no prompt with `poison` in it, and paints nonsense for `nan` and `black`."""

    def paint(self, keys, texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("cannot stomach\nthis")
        pictures = super().paint(keys, texts).copy()
        for picture, text in zip(pictures, texts, strict=True):
            if "nan" in text:
                picture[3, 4] = np.nan
            if "black" in text:
                picture[:] = 0
        return pictures


def test_bad_captions_fail_alone(settings, tmp_path, monkeypatch):
    make_images(captions_of(TEXTS), settings(batch=8, candidates=1), tmp_path / "good")
    monkeypatch.setattr(make, "Generator", Fussy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    bad = {"a poison": "RuntimeError: cannot stomach this", "a nan": "not finite", "all black": "one flat colour"}
    params = settings(batch=8, candidates=1, max_failed_share=0.3)
    metrics, _ = make_images(captions_of([*TEXTS, *bad]), params, tmp_path / "out")
    assert metrics == {"captions": 11, "candidates": 11, "made": 8, "failed": 3, "prompts_truncated": 0}
    failed = pd.read_parquet(tmp_path / "out/failed.parquet")
    for text, error in bad.items():
        assert error in failed.set_index("uid").loc[caption_uid(text, "model"), "error"]
    good, rest = (pd.read_parquet(tmp_path / name / "manifest.parquet") for name in ("good", "out"))
    assert good.drop(columns="shard").equals(rest.drop(columns="shard")), "their neighbours' pictures are untouched"


def test_too_many_failures_end_the_stage_and_keep_the_work(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "Generator", Fussy)
    texts = [*TEXTS, "poison", "more poison"]
    with pytest.raises(
        ValueError, match=r"1 of \d+ pictures failed, more than images.max_failed_share .* stomach this"
    ):
        make_images(captions_of(texts), settings(batch=1, candidates=1), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    metrics, _ = make_images(
        captions_of(texts), settings(batch=1, candidates=1, max_failed_share=0.2), tmp_path / "out"
    )
    assert metrics["failed"] == 2


def test_long_prompts_are_counted_and_painted(settings, tmp_path):
    texts = ["short", "word " * 40, "x" * 100_000, "nul \0 byte"]
    metrics, _ = make_images(captions_of(texts), settings(), tmp_path / "out")
    assert metrics["prompts_truncated"] == 2
    assert metrics["made"] == 8
    tokens = pd.read_parquet(tmp_path / "out/manifest.parquet").set_index("text")["tokens"]
    assert set(tokens["short"]) == {7}
    assert set(tokens["x" * 100_000]) == {100_002}


def test_webp_holds_the_same_pixels(settings, captions, tmp_path):
    make_images(captions[:1], settings(format="webp", candidates=1), tmp_path / "out")
    (row,) = pd.read_parquet(tmp_path / "out/manifest.parquet").to_dict("records")
    ((_, members),) = read_shard(tmp_path / "out" / row["shard"])
    (tmp_path / "one.webp").write_bytes(members["webp"])
    painted = Generator(settings(format="webp")).paint([row["key"]], [row["text"]])[0]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.webp")), (painted * 255).round().astype(np.uint8))


def test_no_captions_is_an_error(settings, captions, tmp_path):
    with pytest.raises(ValueError, match="holds no caption"):
        make_images(captions[:0], settings(), tmp_path / "out")


def test_the_stage_writes_its_outs(settings, captions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    params = settings()
    (tmp_path / "params.yaml").write_text(
        json.dumps({"images": {name: getattr(params, name) for name in params.__slots__}})
    )
    with pytest.raises(FileNotFoundError, match="run `dvc repro captions` first"):
        stage.main()
    (tmp_path / "data/captions").mkdir(parents=True)
    captions.to_parquet(tmp_path / "data/captions/kept.parquet")
    stage.main()
    assert json.loads((tmp_path / "reports/metrics/images.json").read_text())["made"] == 16
    assert len(pd.read_parquet(tmp_path / "data/images/manifest.parquet")) == 16
