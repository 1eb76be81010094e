"""A small run on disk with every status of captions and images, and a browser."""

import tempfile

import pandas as pd
import pytest

from synthpairs.core import schema
from synthpairs.core.schema import candidate_key, caption_uid, digest, noise_seed
from synthpairs.core.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.report.gallery.params import Gallery
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates
from tests.report.gallery.browser import Browser, find_chromium
from tests.scoring.conftest import photo, png

ARMS = ["selected", "random", "real"]
THINGS = ("dog", "cat", "bus", "bell", "snail", "rose")
NASTY = "<b>two</b> </script><script>document.title = 'hit'</script> \u2028 & \"dogs\" \U0001f600"
PARAMS = Gallery(limit=1000, seed=0, image_size=32, quality=80)
SELECT = Select(
    normalisation="sum",
    strategy="top",
    num_pairs=5,
    clip_weight=1.0,
    clip_scale=2.0,
    ssim_weight=0.5,
    best_of=True,
    per_concept=None,
    seed=0,
    samples_per_shard=8,
)


def make_data(data, things=THINGS):
    """Seven kept captions with three candidates each: one was never painted, one has no score, one cannot be decoded.

    Reference captions have originals. Of four rejected ones one repeats a kept caption, and one is in the arm `real`.
    """
    kept, candidates, samples = [], [], []
    texts = [(f"a {thing}", thing, ("human", "model")[n % 2]) for n, thing in enumerate(things)]
    for n, (text, concept, source) in enumerate([*texts, (NASTY, "dog", "human")]):
        caption = {"uid": caption_uid(text, source), "text": text, "concept": concept}
        human = {"original": png(photo(48, n)), "clip_original": 0.5 + n / 100} if source == "human" else {}
        measures = {"source": source, "drawings": [], "words": 2, "perplexity": 99.5, "judge_yes": 0.75}
        kept.append(dict.fromkeys(schema.CAPTIONS.names) | caption | measures | human)
        for number in range(3):
            key = candidate_key(caption["uid"], number, "painter")
            made = {"key": key, "number": number, "seed": noise_seed(key), "generator": "painter", "sha256": digest(key),
                    "tokens": 9, "shard": "shard-0.tar"}  # fmt: skip
            scores = {"clip_cosine": 0.1 + n / 20 + number / 100, "ssim": 0.9 - number / 50, "clip_tokens": 5}
            candidates.append(caption | made | scores)
            samples.append((key, {"png": png(photo(48, 3 * n + number))}))
    samples[8][1]["png"] = b"no image"
    painted = pd.DataFrame(candidates[1:]).sort_values("key", ignore_index=True)
    scored = painted[painted["key"] != candidates[4]["key"]]
    odd = [
        ("a dog", "dog", "human", "exact_duplicate", "as kept", png(photo(48, 90)), None),
        ("a hat", "hat", "human", "alignment", "place 9", png(photo(48, 91)), 0.2),
        ("a fan", "fan", "human", "alignment", "place 10", png(photo(48, 92)), 0.1),
        ("<br/>", "", "model", "unusable", "HTML: <br/>", None, None),
    ]
    columns = ["text", "concept", "source", "reason", "detail", "original", "clip_original"]
    rejected = [
        dict.fromkeys(schema.REJECTED.names)
        | dict(zip(columns, row, strict=True), uid=caption_uid(row[0], row[2]), drawings=[])
        for row in odd
    ]
    pool, _ = rank_candidates(scored, SELECT)
    selected = pool.head(SELECT.num_pairs)
    humans = pd.DataFrame([row for row in kept if row["source"] == "human"] + rejected[1:2])
    humans = humans.assign(origin="real", shard=None, key=humans["uid"])
    tables = {
        "images/manifest": (schema.CANDIDATES, painted), "scores/scores": (schema.SCORES, scored),
        "images/failed": (schema.FAILED, [candidates[0] | {"error": "ValueError: black"}]),
        "scores/failed": (schema.FAILED, [candidates[4] | {"error": "a broken file"}]),
        "captions/kept": (schema.CAPTIONS, kept), "captions/rejected": (schema.REJECTED, rejected),
        "selection/selected": (schema.SELECTED, selected),
        "selection/pairs/selected": (schema.PAIRS, selected.assign(origin="synthetic")),
        "selection/pairs/random": (schema.PAIRS, pool.tail(3).assign(origin="synthetic")),
        "selection/pairs/real": (schema.PAIRS, humans),
    }  # fmt: skip
    for name, (columns, rows) in tables.items():
        write_table(data / f"{name}.parquet", rows, columns)
    write_bytes(data / "images/shard-0.tar", shard_bytes(sorted(samples[1:])))
    painter = {"model": "models/painter", "pipeline": "SomePipeline", "steps": 4, "guidance": 3.0}
    write_json(data / "images/generator.json", {"inputs": painter})
    write_json(data / "scores/scorer.json", {"inputs": {"clip": {"clip": "ViT-B-32", "pretrained": "openai"}}})


@pytest.fixture
def data(tmp_path):
    make_data(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests."""
    program = find_chromium()
    if not program:
        pytest.skip("no Chromium on PATH: `apt-get install chromium` runs the tests of the page itself")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        yield browser
        browser.close()
