"""All filters with tiny models: every caption is kept or rejected, and output is deterministic."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from stages.captions import main
from synthpairs.captions import chunks
from synthpairs.captions.filtering import Filtered, filter_captions
from synthpairs.captions.models import load_models
from synthpairs.captions.params import Blip, Generated, Judge, Perplexity
from synthpairs.captions.record import Caption
from synthpairs.captions.tables import write_filtered
from synthpairs.captions.templates import template_captions
from synthpairs.core.schema import CAPTIONS, DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.models.language.params import Sampling, Served
from tests.captions.conftest import CONCEPTS, outputs, source_of


def test_filters_skip_captions_that_are_already_rejected(drawings, settings, limits, store):
    params, same = settings(limits=limits(words_min=3, clip_top_share=0.5)), "ne quite different dog on a mat"
    expected = {
        "a <i>dog": "unusable", "dog": "words", f"o{same}": None, f"O{same}": "exact_duplicate", f"O{same}.": "near_duplicate",
    }  # fmt: skip
    captions = template_captions(drawings, CONCEPTS, params.reference, 0)
    captions += [Caption(text=text, source="extra", concept="dog") for text in expected]
    models = load_models(params)
    curated = filter_captions(captions, params, models, store)
    results = list(curated.captions)
    assert [caption.uid for caption in results] == sorted(caption.uid for caption in captions)
    extra = {caption.text: caption for caption in results if caption.source == "extra"}
    assert {text: caption.reason for text, caption in extra.items()} == expected
    unusable, short, kept, duplicate, _ = (extra[text].measures for text in expected)
    assert unusable == {}
    assert (short["words"], "perplexity" in short) == (1, False)
    assert ("perplexity" in duplicate, "judge_yes" in duplicate) == (True, False)
    assert set(kept) == set(CAPTIONS.names[6:]) - {"clip_original"}
    metrics = write_filtered(Filtered(iter(results), curated.kept), models, store.path)
    extra, templates = metrics["source"]["extra"], metrics["source"]["human"]
    assert (extra["read"], extra["kept"], extra["alignment_skipped"]) == (5, 1, 1)
    assert extra["rejected"] == {"exact_duplicate": 1, "near_duplicate": 1, "unusable": 1, "words": 1}
    assert templates["read"] == 40 == templates["kept"] + sum(templates["rejected"].values())
    assert metrics["noise"]["html"]["kept"] == 0 < metrics["noise"]["html"]["read"] == templates["rejected"]["unusable"]
    assert metrics["kept_total"] == curated.kept == templates["kept"] + 1


@pytest.fixture
def project(project_root, drawings, settings):
    def build(**changed):
        root = project_root(world={"concepts": CONCEPTS}, captions=asdict(settings(**changed)))
        write_table(root / "data/emoji/drawings.parquet", drawings, DRAWINGS)
        return root

    return build


def run(root):
    """Outputs and metrics of the stage."""
    shutil.rmtree(root / "data/captions", ignore_errors=True)
    main()
    files = outputs(root, "data/captions", "captions.json")
    return files, json.loads(files["captions.json"])


def test_the_number_of_chunks_and_workers_does_not_change_the_tables(project, limits, monkeypatch):
    root = project(
        sources=[source_of("extra.csv", "csv", name="extra")], limits=limits(words_min=3, clip_top_share=0.5), llm="nowhere",
        generated=Generated(per_concept=0, sampling=Sampling(temperature=1.0, top_p=1.0, top_k=1, max_new_tokens=1)),
        perplexity=Perplexity(engine="none", kenlm=""),
        judge=Judge(engine="none", server=Served(model="", extra={}), max_failed_share=0.0),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    words = ["red", "blue", "dog", "cat", "bus", "on", "a", "mat", "big", "sky"]
    rows = [" ".join(rng.choice(words, rng.integers(2, 6))) for _ in range(300)]
    (root / "extra.csv").write_text("text\n" + "\n".join(rows) + "\n")
    first, metrics = run(root)
    counts = metrics["source"]["extra"]
    assert {"exact_duplicate", "near_duplicate", "words"} <= set(counts["rejected"])
    assert counts["median"]["perplexity"] is None
    monkeypatch.setattr(chunks, "ROWS", 37)
    monkeypatch.setattr(chunks, "_BATCH_ROWS", 5)
    assert run(root)[0] == first


def test_blip_adds_a_column(project, blip):
    root = project(blip=Blip(model=str(blip), min=0.0, max=1.0))
    counts = run(root)[1]["source"]
    kept = pd.read_parquet(root / "data/captions/kept.parquet")
    assert list(kept.columns) == [*CAPTIONS.names, "blip_itm"]
    assert (kept["blip_itm"].notna() == kept["original"].notna()).all()
    assert counts["human"]["median"]["blip_itm"] is not None
    assert counts["model"]["blip_skipped"] == counts["model"]["kept"]


def test_after_a_failure_models_are_not_asked_again(project, blip, monkeypatch):
    root = project(blip=Blip(model=str(blip), min=0.0, max=1.0))
    first, _ = run(root)

    def fails(*_):
        raise OSError("no space left")

    with monkeypatch.context() as full:
        full.setattr("stages.captions.write_filtered", fails)
        with pytest.raises(OSError, match="no space left"):
            main()
    for name in ("blip_filter.BlipFilter._probabilities", "clip_filter.ClipFilter._measured",
                 "language_model_filters.perplexity", "language_model_filters.yes_probability"):  # fmt: skip
        monkeypatch.setattr(f"synthpairs.captions.{name}", fails)
    assert run(root)[0] == first


def test_the_stage_is_deterministic_and_its_tables_are_complete(project):
    root = project(sources=[source_of("extra.jsonl", "jsonl", name="extra")])
    (root / "extra.jsonl").write_bytes(b'{"text": "a dog on a mat"}\nnonsense\n{"text": "\xff"}\n')
    first, metrics = run(root)
    kept, rejected = (pd.read_parquet(root / f"data/captions/{name}.parquet") for name in ("kept", "rejected"))
    assert list(kept.columns) == CAPTIONS.names
    assert len(kept) + len(rejected) == 40 + 3 * len(CONCEPTS) + 3
    assert kept["uid"].is_unique
    assert kept["uid"].is_monotonic_increasing
    assert rejected["reason"].notna().all()
    assert not (root / ".dvc/tmp/work/captions").exists()
    assert metrics["source"]["extra"]["rejected"] == {"unreadable": 1, "unusable": 1}
    assert run(root)[0] == first


def test_the_stage_fails_when_nothing_is_left(project, limits):
    root = project(limits=limits(words_min=90))
    with pytest.raises(ValueError, match="every caption was rejected"):
        main()
    assert not (root / "data/captions").exists()
