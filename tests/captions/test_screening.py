"""Invented captions meet the filters of `captions`: the same reasons, nothing lost, the same bytes twice."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.screen import main
from synthpairs.core.schema import CAPTIONS, INVENTED, REJECTED, caption_uid
from synthpairs.core.storage import write_table
from tests.captions.conftest import WIDE
from tests.conftest import kill_with_workers

ROOT = Path(__file__).parents[2]
PROGRAM = f"""
from itertools import repeat
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption
from synthpairs.captions.screening import screened
for _ in screened(([Caption(text="a cat", source="x", concept="cat")] for _ in repeat(0)), Limits(**{WIDE}), None):
    pass
"""
TEXTS = ["a cat on a mat", "A cat on a mat", "a <b>dog</b> on a mat", "dog", "two buses in the rain"]


def invented(text, status="kept"):
    """A row of the invented captions."""
    uid = caption_uid(text, "invented") if text else None
    return dict.fromkeys(INVENTED.names) | {
        "uid": uid, "text": text, "source": "invented", "concept": "cat", "bank": "world", "number": 0, "status": status,
    }  # fmt: skip


@pytest.fixture
def project(tmp_path, settings, monkeypatch):
    """A directory in which the stage runs; changes of its params."""

    def build(**changed):
        rows = [*map(invented, TEXTS), invented("a dog on a hat", "rejected"), invented(None, "failed")]
        write_table(tmp_path / "data/invented/captions.parquet", rows, INVENTED)
        with (tmp_path / "params.yaml").open("w") as file:
            YAML(typ="safe").dump({"captions": asdict(settings(**changed))}, file)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
        return tmp_path

    return build


def outputs(root):
    files = [*(root / "data/screened").iterdir(), root / "reports/metrics/screen.json"]
    return {file.name: file.read_bytes() for file in files}


def test_every_kept_invention_ends_as_kept_or_rejected_and_the_bytes_are_the_same_twice(project, limits):
    root = project(limits=limits(words_min=2))
    main()
    first = outputs(root)
    kept, rejected = (pd.read_parquet(root / f"data/screened/{name}.parquet") for name in ("kept", "rejected"))
    assert (list(kept.columns), list(rejected.columns)) == (CAPTIONS.names, REJECTED.names)
    assert sorted(kept["text"]) == ["a cat on a mat", "two buses in the rain"]
    assert dict(zip(rejected["text"], rejected["reason"], strict=True)) == {
        "A cat on a mat": "exact_duplicate", "a <b>dog</b> on a mat": "unusable", "dog": "words",
    }  # fmt: skip
    assert set(kept["source"]) == set(rejected["source"]) == {"invented"}
    assert kept["uid"].is_monotonic_increasing
    counts = json.loads(first["screen.json"])
    assert list(counts["source"]) == ["invented"]
    assert counts["source"]["invented"]["read"] == 5
    assert counts["source"]["invented"]["alignment_skipped"] == counts["kept_total"] == 2
    assert not (root / ".dvc/tmp/work/screen").exists()
    shutil.rmtree(root / "data/screened")
    main()
    assert outputs(root) == first


@pytest.mark.parametrize("invention", ["all rejected", "none kept"])
def test_nothing_left_is_a_result(project, limits, invention):
    root = project(limits=limits(words_min=90))
    path = root / "data/invented/captions.parquet"
    if invention == "none kept":
        write_table(path, pd.read_parquet(path).assign(status="rejected"), INVENTED)
    main()
    kept, rejected = (pd.read_parquet(root / f"data/screened/{name}.parquet") for name in ("kept", "rejected"))
    assert (len(kept), list(kept.columns)) == (0, CAPTIONS.names)
    assert len(rejected) == (5 if invention == "all rejected" else 0)
    assert json.loads((root / "reports/metrics/screen.json").read_text())["kept_total"] == 0


def test_a_killed_screening_leaves_no_worker():
    kill_with_workers(subprocess.Popen([sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONPATH": str(ROOT)}))
