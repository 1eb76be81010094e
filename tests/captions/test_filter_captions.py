"""Stage `filter_captions`: the filters of `captions` on class-prompted captions."""

import json
import shutil
from dataclasses import asdict

import pandas as pd
import pytest

from stages.filter_captions import main
from synthpairs.core.schema import CAPTIONS, INVENTED, REJECTED, caption_uid
from synthpairs.core.storage import write_table
from tests.captions.conftest import WIDE, outputs
from tests.conftest import kill_with_workers, start_python

PROGRAM = f"""
from itertools import repeat
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption
from synthpairs.captions.text_filters import filter_texts
for _ in filter_texts(([Caption(text="a cat", source="x", concept="cat")] for _ in repeat(0)), Limits(**{WIDE}), None):
    pass
"""
TEXTS = ["a cat on a mat", "A cat on a mat", "a <b>dog</b> on a mat", "dog", "two buses in the rain"]


def invented(text, status="kept"):
    row = {"uid": caption_uid(text, "invented") if text else None, "text": text, "number": 0, "status": status}
    return dict.fromkeys(INVENTED.names) | row | {"source": "invented", "concept": "cat", "bank": "world"}


@pytest.fixture
def screened(project_root, settings, limits):
    """Runs the stage; returns the project, its outputs and both tables."""

    def run(words_min, rows):
        root = project_root(captions=asdict(settings(limits=limits(words_min=words_min))))
        write_table(root / "data/class_captions/captions.parquet", rows, INVENTED)
        shutil.rmtree(root / "data/filtered_captions", ignore_errors=True)
        main()
        tables = [pd.read_parquet(root / f"data/filtered_captions/{name}.parquet") for name in ("kept", "rejected")]
        return root, outputs(root, "data/filtered_captions", "filter_captions.json"), *tables

    return run


def test_captions_are_kept_or_rejected_and_output_is_deterministic(screened):
    rows = [*map(invented, TEXTS), invented("a dog on a hat", "rejected"), invented(None, "failed")]
    root, first, kept, rejected = screened(2, rows)
    assert (list(kept.columns), list(rejected.columns)) == (CAPTIONS.names, REJECTED.names)
    assert sorted(kept["text"]) == ["a cat on a mat", "two buses in the rain"]
    assert dict(zip(rejected["text"], rejected["reason"], strict=True)) == {
        "A cat on a mat": "exact_duplicate", "a <b>dog</b> on a mat": "unusable", "dog": "words",
    }  # fmt: skip
    assert set(kept["source"]) == set(rejected["source"]) == {"invented"}
    assert kept["uid"].is_monotonic_increasing
    metrics = json.loads(first["filter_captions.json"])
    assert list(metrics["source"]) == ["invented"]
    assert metrics["source"]["invented"]["read"] == 5
    assert metrics["source"]["invented"]["alignment_skipped"] == metrics["kept_total"] == 2
    assert not (root / ".dvc/tmp/work/filter_captions").exists()
    assert screened(2, rows)[1] == first


@pytest.mark.parametrize(("status", "rejections"), [("kept", 5), ("rejected", 0)])
def test_no_kept_caption_is_a_valid_result(screened, status, rejections):
    _, files, kept, rejected = screened(90, [invented(text, status) for text in TEXTS])
    assert (len(kept), list(kept.columns)) == (0, CAPTIONS.names)
    assert (len(rejected), json.loads(files["filter_captions.json"])["kept_total"]) == (rejections, 0)


def test_a_killed_run_leaves_no_worker():
    kill_with_workers(start_python(PROGRAM))
