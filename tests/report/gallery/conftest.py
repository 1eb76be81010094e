"""A small run on disk, with everything that can happen to a caption or a picture; and a browser."""

import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.core.schema import (
    CANDIDATES,
    CAPTIONS,
    FAILED,
    PAIRS,
    REJECTED,
    SCORES,
    SELECTED,
    candidate_key,
    caption_uid,
    digest,
    noise_seed,
)
from synthpairs.core.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.report.gallery.params import Gallery
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from tests.report.gallery.browser import Browser, find_chromium
from tests.scoring.conftest import photo, png

ARMS = ["selected", "random", "real"]
THINGS = ("dog", "cat", "bus", "bell", "snail", "rose")
NASTY = "<b>two</b> </script><script>document.title = 'hit'</script> \u2028 & \"dogs\" \U0001f600"
PARAMS = Gallery(limit=1000, seed=0, side=32, quality=80)
SELECT = Select(
    fusion="sum", strategy="top", k=5, clip_weight=1.0, clip_scale=2.0, ssim_weight=0.5, best_of=True, per_concept=None,
    seed=0, samples_per_shard=8,
)  # fmt: skip


def make_data(data: Path, things: tuple[str, ...] = THINGS) -> None:
    """Seven kept captions with three candidates each: one was never painted, one has no score, one cannot be decoded.

    Reference captions have originals. Of four rejected ones one repeats a kept caption, and one is in the arm `real`.
    """
    measures = {"words": 2, "perplexity": 99.5, "judge_yes": 0.75}
    kept, candidates, scores, samples = [], [], [], []
    texts = [(f"a {thing}", thing, ("human", "model")[place % 2]) for place, thing in enumerate(things)]
    for place, (text, concept, source) in enumerate([*texts, (NASTY, "dog", "human")]):
        uid, human = caption_uid(text, source), source == "human"
        caption = {"uid": uid, "text": text, "concept": concept}
        row = dict.fromkeys(CAPTIONS.names) | measures | caption | {"source": source, "drawings": []}
        row["original"] = png(photo(48, place)) if human else None
        kept.append(row | {"clip_original": 0.5 + place / 100 if human else None})
        for number in range(3):
            key = candidate_key(uid, number, "painter")
            made = {"number": number, "seed": noise_seed(key), "generator": "painter", "sha256": digest(key)}
            candidates.append({"key": key} | caption | made | {"tokens": 9, "shard": "shard-0.tar"})
            score = {"clip_cosine": 0.1 + place / 20 + number / 100, "ssim": 0.9 - number / 50, "clip_tokens": 5}
            scores.append({"key": key, "uid": uid, "concept": concept} | score)
            samples.append((key, {"png": png(photo(48, 3 * place + number))}))
    unpainted, unscored, broken = (candidates[place]["key"] for place in (0, 4, 8))
    lost = {"key": unpainted, "uid": candidates[0]["uid"], "error": "ValueError: black"}
    unmeasured = {"key": unscored, "uid": candidates[4]["uid"], "error": "a broken file"}
    manifest = pd.DataFrame(candidates).query("key != @unpainted").sort_values("key", ignore_index=True)
    table = pd.DataFrame(scores).query("key != @unpainted and key != @unscored").sort_values("key", ignore_index=True)
    samples = [(key, {"png": b"no picture"} if key == broken else files) for key, files in samples if key != unpainted]
    write_bytes(data / "images/shard-0.tar", shard_bytes(sorted(samples)))
    write_table(data / "images/manifest.parquet", manifest, CANDIDATES)
    write_table(data / "images/failed.parquet", [lost], FAILED)
    inputs = {"model": "models/painter", "pipeline": "SomePipeline", "steps": 4, "guidance": 3.0}
    write_json(data / "images/generator.json", {"inputs": inputs})
    write_table(data / "scores/scores.parquet", table, SCORES)
    write_table(data / "scores/failed.parquet", [unmeasured], FAILED)
    write_json(data / "scores/scorer.json", {"inputs": {"clip": {"clip": "ViT-B-32", "pretrained": "openai"}}})
    write_table(data / "captions/kept.parquet", kept, CAPTIONS)
    odd = [
        ("a dog", "dog", "human", "exact_duplicate", "as kept", png(photo(48, 90)), None),
        ("a hat", "hat", "human", "alignment", "place 9", png(photo(48, 91)), 0.2),
        ("a fan", "fan", "human", "alignment", "place 10", png(photo(48, 92)), 0.1),
        ("<br/>", "", "model", "unusable", "HTML: <br/>", None, None),
    ]
    rejected = [
        dict.fromkeys(REJECTED.names)
        | {"uid": caption_uid(text, source), "text": text, "concept": concept, "source": source, "drawings": []}
        | {"reason": reason, "detail": detail, "original": original, "clip_original": cosine}
        for text, concept, source, reason, detail, original, cosine in odd
    ]
    write_table(data / "captions/rejected.parquet", rejected, REJECTED)
    pool, _ = rank_candidates(manifest.merge(table[["key", "clip_cosine", "ssim"]], on="key"), SELECT)
    selected = select_top_k(pool, SELECT)
    write_table(data / "selection/selected.parquet", selected, SELECTED)
    humans = [row for row in kept if row["source"] == "human"] + rejected[1:2]
    real = pd.DataFrame(humans).assign(origin="real", shard=None, key=lambda rows: rows["uid"])
    for arm, pairs in {"selected": selected, "random": pool.tail(3)}.items():
        write_table(data / f"selection/pairs/{arm}.parquet", pairs.assign(origin="synthetic"), PAIRS)
    write_table(data / "selection/pairs/real.parquet", real, PAIRS)


@pytest.fixture
def data(tmp_path):
    """The run's data directory."""
    make_data(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def params():
    """Everything fits."""
    return PARAMS


@pytest.fixture
def select():
    """Of every caption its best candidate competes, five are taken."""
    return SELECT


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests."""
    program = find_chromium()
    if not program:
        pytest.skip("no Chromium on PATH: `apt-get install chromium` runs the tests of the page itself")
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    browser = Browser(program, profile)
    yield browser
    browser.close()
    shutil.rmtree(profile, ignore_errors=True)
