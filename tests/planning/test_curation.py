"""Captions by where they come from, and who is asked about them."""

from pathlib import Path

import pandas as pd
import pytest

from synthpairs.planning.curation import caption_loads, count_captions
from synthpairs.planning.load import Load
from synthpairs.planning.params import Document
from tests.planning.conftest import Change

LLAVA = {
    "name": "human", "path": "x.json", "format": "llava", "images": "x", "limit": 1000,
    "columns": {"text": None, "image": "image", "source": None},
}  # fmt: skip
TSV = LLAVA | {"format": "tsv", "images": None, "limit": 500, "columns": {"text": None, "image": None, "source": None}}
TARS = TSV | {"format": "webdataset", "limit": 200}


def loads(params: Document, expected: int | None = None) -> dict[str, Load]:
    return {load.part: load for load in caption_loads(params, count_captions(params, expected, Path("nowhere")))}


def test_the_desks_captions(change: Change, tmp_path: Path) -> None:
    found = count_captions(change(), None, tmp_path)
    assert (found.read, found.written, found.originals, found.kept) == (1540, 640, 900, 1540)
    assert "not known before they run" in found.told
    assert set(loads(change())) == {"rules", "writing", "originals", "perplexity", "judge"}


def test_what_is_kept_is_counted_where_it_is(change: Change, tmp_path: Path) -> None:
    (tmp_path / "captions").mkdir()
    pd.DataFrame({"uid": range(741)}).to_parquet(tmp_path / "captions/kept.parquet")
    assert count_captions(change(), None, tmp_path).kept == 741
    assert count_captions(change(), 5, tmp_path).kept == 5


def test_sources_with_pictures_have_originals(change: Change, tmp_path: Path) -> None:
    found = count_captions(change({"captions.sources": [LLAVA, TSV, TARS]}), None, tmp_path)
    assert found.read == 1540 + 1700
    assert found.originals == 900 + 1200


def test_a_source_without_a_limit_asks_for_a_number(change: Change, tmp_path: Path) -> None:
    params = change({"captions.sources": [LLAVA | {"limit": None}]})
    with pytest.raises(ValueError, match=r"captions.sources: human has no limit, .* `--captions N`"):
        count_captions(params, None, tmp_path)
    found = count_captions(params, 10_000, tmp_path)
    assert (found.read, found.originals) == (10_000, 10_000 - 640)


@pytest.mark.parametrize(
    ("key", "value", "comes", "goes"),
    [
        ("captions.perplexity.engine", "kenlm", "KenLM", "perplexity"),
        ("captions.perplexity.engine", "none", None, "perplexity"),
        ("captions.judge.engine", "none", None, "judge"),
        ("captions.blip", {"model": "x", "min": 0.8, "max": 1.0}, "BLIP", None),
        ("captions.model.per_concept", 0, None, "writing"),
        ("captions.human.pictures", 0, None, "originals"),
    ],
)
def test_who_is_asked(change: Change, key: str, value: object, comes: str | None, goes: str | None) -> None:
    before, after = set(loads(change())), set(loads(change({key: value})))
    assert after - before == ({comes} if comes else set())
    assert before - after == ({goes} if goes else set())


def test_a_served_judge_has_its_own_size(change: Change) -> None:
    judge = loads(change({"captions.judge.engine": "server"}))["judge"]
    assert (judge.rate, judge.size, judge.pieces) == ("captions.server", 70e9, 1540)
