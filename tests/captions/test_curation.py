"""The whole curation on tiny models: nothing is lost, and the same input gives the same bytes."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.captions import main
from synthpairs.captions import chunks
from synthpairs.captions.curation import Curated, curate
from synthpairs.captions.models import load_models
from synthpairs.captions.params import Blip, Columns, Judge, Model, Perplexity, Source
from synthpairs.captions.record import Caption
from synthpairs.captions.sources import human_captions
from synthpairs.captions.tables import write_outcome
from synthpairs.core.schema import CAPTIONS, DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.models.language.params import Sampling, Served
from tests.captions.conftest import CONCEPTS
from tests.captions.tiny import save_blip


def test_each_filter_sees_only_what_the_ones_before_it_left(drawings, settings, limits, store):
    params = settings(limits=limits(words_min=3, clip_top_share=0.5))
    captions = [
        *human_captions(drawings, CONCEPTS, params.human, 0),
        Caption(text="a <i>dog", source="extra", concept="dog"),
        Caption(text="dog", source="extra", concept="dog"),
        Caption(text="one quite different dog on a mat", source="extra", concept="dog"),
        Caption(text="One quite different dog on a mat", source="extra", concept="dog"),
        Caption(text="One quite different dog on a mat.", source="extra", concept="dog"),
    ]
    models = load_models(params)
    curated = curate(captions, params, models, store)
    found = list(curated.captions)
    assert [caption.uid for caption in found] == sorted(caption.uid for caption in captions)
    by_text = {caption.text: caption for caption in found}
    captions = [by_text[caption.text] for caption in captions]
    assert [caption.reason for caption in captions[-5:]] == [
        "unusable", "words", None, "exact_duplicate", "near_duplicate",
    ]  # fmt: skip
    assert captions[-5].measures == {}
    assert "perplexity" not in captions[-4].measures
    assert captions[-4].measures["words"] == 1
    assert "perplexity" in captions[-2].measures
    assert "judge_yes" not in captions[-2].measures
    assert set(captions[-3].measures) == set(CAPTIONS.names[6:]) - {"clip_original"}
    metrics = write_outcome(Curated(iter(found), curated.kept), models, store.path, store.path / "metrics.json")
    assert curated.kept == metrics["kept_total"]
    extra, human = metrics["source"]["extra"], metrics["source"]["human"]
    assert (extra["read"], extra["kept"], extra["alignment_skipped"]) == (5, 1, 1)
    assert extra["rejected"] == {"exact_duplicate": 1, "near_duplicate": 1, "unusable": 1, "words": 1}
    assert human["read"] == 40 == human["kept"] + sum(human["rejected"].values())
    assert metrics["noise"]["html"]["kept"] == 0 < metrics["noise"]["html"]["read"] == human["rejected"]["unusable"]
    assert metrics["kept_total"] == human["kept"] + 1


@pytest.fixture
def project(tmp_path, drawings, settings, monkeypatch):
    """A directory in which the stage runs; changes of its params."""

    def build(**changed):
        write_table(tmp_path / "data/art/drawings.parquet", drawings, DRAWINGS)
        values = {"world": {"concepts": CONCEPTS}, "captions": asdict(settings(**changed))}
        with (tmp_path / "params.yaml").open("w") as file:
            YAML(typ="safe").dump(values, file)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
        return tmp_path

    return build


def test_many_chunks_in_many_processes_make_the_tables_that_one_makes(project, limits, monkeypatch):
    columns = Columns(text=None, image=None, source=None)
    extra = Source(name="extra", path="extra.csv", format="csv", columns=columns, images=None, limit=None)
    nobody = Served(model="", extra={})
    root = project(
        sources=[extra],
        model=Model(per_concept=0, sampling=Sampling(temperature=1.0, top_p=1.0, top_k=1, max_new_tokens=1)),
        limits=limits(words_min=3, clip_top_share=0.5),
        llm="nowhere",
        perplexity=Perplexity(engine="none", kenlm=""),
        judge=Judge(engine="none", server=nobody, max_failed_share=0.0),
    )
    rng = np.random.default_rng(0)
    words = ["red", "blue", "dog", "cat", "bus", "on", "a", "mat", "big", "sky"]
    rows = [" ".join(rng.choice(words, rng.integers(2, 6))) for _ in range(300)]
    (root / "extra.csv").write_text("text\n" + "\n".join(rows) + "\n")
    main()
    first = outputs(root)
    counts = json.loads(first["captions.json"])["source"]["extra"]
    assert {"exact_duplicate", "near_duplicate", "words"} <= set(counts["rejected"])
    assert counts["median"]["perplexity"] is None
    monkeypatch.setattr(chunks, "ROWS", 37)
    monkeypatch.setattr(chunks, "_BATCH_ROWS", 5)
    shutil.rmtree(root / "data/captions")
    main()
    assert outputs(root) == first


def test_blips_measure_has_a_column_where_it_is_asked_for(project, tmp_path):
    model = tmp_path / "blip"
    model.mkdir()
    root = project(blip=Blip(model=str(save_blip(model)), min=0.0, max=1.0))
    main()
    kept = pd.read_parquet(root / "data/captions/kept.parquet")
    assert list(kept.columns) == [*CAPTIONS.names, "blip_itm"]
    assert (kept["blip_itm"].notna() == kept["original"].notna()).all()
    counts = json.loads((root / "reports/metrics/captions.json").read_text())["source"]
    assert counts["human"]["median"]["blip_itm"] is not None
    assert counts["model"]["blip_skipped"] == counts["model"]["kept"]


def outputs(root):
    files = [*(root / "data/captions").iterdir(), root / "reports/metrics/captions.json"]
    return {file.name: file.read_bytes() for file in files}


def test_the_stage_loses_nothing_and_writes_the_same_bytes_twice(project):
    columns = Columns(text=None, image=None, source=None)
    extra = Source(name="extra", path="extra.jsonl", format="jsonl", columns=columns, images=None, limit=None)
    root = project(sources=[extra])
    (root / "extra.jsonl").write_bytes(b'{"text": "a dog on a mat"}\nnonsense\n{"text": "\xff"}\n')
    main()
    first = outputs(root)
    kept, rejected = (pd.read_parquet(root / f"data/captions/{name}.parquet") for name in ("kept", "rejected"))
    assert list(kept.columns) == CAPTIONS.names
    assert len(kept) + len(rejected) == 40 + 3 * len(CONCEPTS) + 3
    assert kept["uid"].is_unique
    assert kept["uid"].is_monotonic_increasing
    assert rejected["reason"].notna().all()
    assert not (root / ".dvc/tmp/work/captions").exists()
    counts = json.loads(first["captions.json"])
    assert counts["source"]["extra"]["rejected"] == {"unreadable": 1, "unusable": 1}
    shutil.rmtree(root / "data/captions")
    main()
    assert outputs(root) == first


def test_the_stage_fails_when_nothing_is_left(project, limits):
    root = project(limits=limits(words_min=90))
    with pytest.raises(ValueError, match="every caption was rejected"):
        main()
    assert not (root / "data/captions").exists()
