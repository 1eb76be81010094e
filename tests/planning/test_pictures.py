"""Pictures: how many are painted and drafted, and how many of the base's steps they take the time of."""

import math
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.planning.curation import Captions
from synthpairs.planning.pictures import audit_loads, base_steps, count_pictures, grid_loads, picture_loads
from tests.planning.conftest import Change

NOWHERE = Path("nowhere")
CAPTIONS = Captions(read=1000, written=0, originals=500, kept=1000, told="by hand", table=NOWHERE)
REFINER = {"model": "x", "base_share": 0.75}
NSFW = {"model": "x", "label": "nsfw", "min": 0.5, "batch": 32}
DRAFT = {"steps": 4, "keep": 1, "cosine_min": None, "clip": "x", "pretrained": None}


def test_every_candidate_is_painted_and_looked_at(change: Change) -> None:
    params = change({"images.candidates": 3})
    found, notes = count_pictures(params, CAPTIONS, NOWHERE)
    images, scores, select = picture_loads(params, found)
    assert (images.pieces, images.items, images.size) == (3000 * 12, 3000, 64**2)
    assert images.disk == pytest.approx(3000 * 64**2 * 1.6 * 3)
    assert (scores.pieces, select.pieces) == (3000, 3000)
    assert not notes


def test_a_limit_lets_whole_captions_through(change: Change) -> None:
    """Of a limit of 20, six captions with three candidates each."""
    params = change({"images.candidates": 3, "images.limit": 20})
    assert count_pictures(params, CAPTIONS, NOWHERE)[0].painted == 18
    params = change({"images.limit": 100_000})
    assert count_pictures(params, CAPTIONS, NOWHERE)[0].painted == 3000


def test_the_refiner_takes_its_share_of_the_steps(change: Change) -> None:
    """A quarter of twelve steps at 1.08 times the time: 9 + 3.24."""
    params = change({"images.refiner": REFINER})
    images, *_ = picture_loads(params, count_pictures(params, CAPTIONS, NOWHERE)[0])
    assert images.pieces == pytest.approx(1000 * 12.24)
    assert base_steps(60, 1.0) == 60


def test_drafts_come_first(change: Change) -> None:
    """Five drafts of four steps for each caption, and one picture of twelve."""
    params = change({"images.candidates": 5, "images.draft": DRAFT})
    found, notes = count_pictures(params, CAPTIONS, NOWHERE)
    drafts, looks, images, scores, _ = picture_loads(params, found)
    assert (drafts.pieces, drafts.items, drafts.rate) == (5000 * 4, 5000, images.rate)
    assert looks.pieces == 5000
    assert (images.pieces, images.items, scores.pieces) == (1000 * 12, 1000, 1000)
    assert not notes
    params = change({"images.draft": DRAFT | {"keep": 2, "cosine_min": 0.2}, "images.limit": 100})
    found, notes = count_pictures(params, CAPTIONS, NOWHERE)
    assert (found.drafts, found.painted) == (50 * 5, 100)
    assert "cosine_min" in notes[0]


def test_without_guidance_each_step_is_one_pass(change: Change) -> None:
    params = change({"images.guidance": 1.0, "embed.guidance": 0.0})
    images, *_ = picture_loads(params, count_pictures(params, CAPTIONS, NOWHERE)[0])
    assert images.pieces == 1000 * 6
    (grids,) = grid_loads(params, NOWHERE)
    assert grids.pieces == 64 * 6 * 3 * 8 / 2


def test_long_prompts_are_painted_apart(change: Change, tmp_path: Path) -> None:
    """Words to chunks of 75 tokens at 1.3 each: 10 words are one, 100 two. A quarter is long, 4 are a batch."""
    params = change({"images.long_prompts": "chunk", "images.batch": 4, "captions.limits.words_max": 120})
    found, notes = count_pictures(params, CAPTIONS, NOWHERE)
    assert found.runs == 3  # 120 words are 156 tokens
    assert "lengths, until there are some" in notes[0]
    table = tmp_path / "kept.parquet"
    pd.DataFrame({"text": ["a " * 10] * 3 + ["a " * 100]}).to_parquet(table)
    there = Captions(read=4, written=0, originals=0, kept=4, told="by hand", table=table)
    runs = (1 - (1 - 0.75) ** 4) + (1 - (1 - 0.25) ** 4)
    found, notes = count_pictures(params, there, NOWHERE)
    images, *_ = picture_loads(params, found)
    assert found.runs == pytest.approx(runs)
    assert (images.pieces, images.items) == (pytest.approx(4 * 12 * runs), pytest.approx(4 * runs))
    assert f"{runs:.2f} lengths" in notes[0]


def test_pictures_that_are_there_tell_their_size(change: Change, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pd.DataFrame({"key": range(4)}).to_parquet(tmp_path / "images/manifest.parquet")
    (tmp_path / "images/shard-1.tar").write_bytes(bytes(1000))
    (tmp_path / "images/shard-2.tar").write_bytes(bytes(3000))
    assert count_pictures(change(), CAPTIONS, tmp_path)[0].bytes == 1000


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({}, ["hashes", "CLIP"]),
        ({"audit.cosine_min": None}, ["hashes"]),
        ({"audit.text": True}, ["hashes", "CLIP", "text in pictures"]),
        ({"audit.nsfw": NSFW}, ["hashes", "CLIP", "NSFW"]),
    ],
)
def test_what_the_audit_looks_for(change: Change, values: dict, parts: list[str]) -> None:
    found = list(audit_loads(change(values), 700, 64))
    assert [load.part for load in found] == parts
    assert {load.pieces for load in found} == {700}


def test_token_grids(change: Change, tmp_path: Path) -> None:
    (grids,) = grid_loads(change(), NOWHERE)
    assert grids.pieces == 64 * 6 * 3 * 8
    (tmp_path / "screened").mkdir()
    pd.DataFrame({"uid": range(337)}).to_parquet(tmp_path / "screened/kept.parquet")
    (grids,) = grid_loads(change(), tmp_path)
    assert grids.pieces == 1011 * 8
    (grids,) = grid_loads(change({"invent.banks": ["world", "imagenet"]}), NOWHERE)
    assert grids.pieces == (64 + 200) * 6 * 3 * 8
    assert math.isclose(grids.disk, (64 + 200) * 6 * 3 * 2048)
