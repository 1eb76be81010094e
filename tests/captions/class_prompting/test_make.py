"""The stage with either engine: nothing is lost, a killed run goes on, and the same input gives the same bytes."""

import json
import shutil
from dataclasses import asdict, replace

import pandas as pd
import pytest

from stages.invent import main
from synthpairs.captions.class_prompting import make
from synthpairs.captions.class_prompting.bank import concept_bank
from synthpairs.captions.class_prompting.make import INVENTED, judge, tally
from synthpairs.captions.class_prompting.prompts import requests
from synthpairs.core.schema import caption_uid
from synthpairs.models.language.server import Reply
from tests.captions.class_prompting.conftest import WORLD
from tests.captions.conftest import outputs


@pytest.fixture
def project(project_root, settings):
    return lambda **changed: project_root(world={"concepts": WORLD}, invent=asdict(settings(**changed)))


def run(root):
    """Outputs, table and metrics of the stage."""
    main()
    files = outputs(root, "data/invented", "invent.json")
    return files, pd.read_parquet(root / "data/invented/captions.parquet"), json.loads(files["invent.json"])


def test_every_reply_is_kept_rejected_or_failed(settings):
    params = settings(per_class=4)
    concepts = concept_bank(params, ["cat", "dog"])
    texts = ["A cat on a mat", "A cat on a mat", "", "A cat and a dog", "A dog runs", "Sure, a dog", None, "A cat"]
    replies = [Reply(text or "", "m", error="it broke" if text is None else None) for text in texts]
    rows = judge(requests(concepts, params), replies, concepts, params)
    assert all(set(row) == set(INVENTED.names) for row in rows)
    assert {rows[0]["reason"], rows[1]["reason"]} == {None, "duplicate"}
    assert [row["reason"] for row in rows[2:]] == ["empty", None, None, "chatter", None, "unmentioned"]
    assert (rows[6]["status"], rows[6]["uid"], rows[6]["text"], rows[6]["detail"]) == ("failed", None, None, "it broke")
    assert (rows[2]["uid"], rows[4]["uid"]) == (None, caption_uid("A dog runs", "invented"))
    assert rows[3]["matched"] == ["cat", "dog"]
    assert tally(rows, 2) == {
        "asked": 8, "kept": 3, "rejected": {"chatter": 1, "duplicate": 1, "empty": 1, "unmentioned": 1}, "failed": 1,
        "classes": 2, "classes_reached": 1.0, "mean_words": 4.3333, "mean_concepts": 1.3333,
    }  # fmt: skip


def test_what_is_named_too_often_is_balanced_away(settings):
    params = settings(per_class=40, balance=4)
    concepts = concept_bank(params, ["dog", "bus"])
    texts = [f"A dog number {number}" for number in range(40)] + [f"A bus number {number}" for number in range(3)]
    replies = [Reply(text, "m") for text in texts + [""] * 37]
    metrics = tally(judge(requests(concepts, params), replies, concepts, params), 2)
    assert 28 <= metrics["rejected"]["balance"] < 40
    assert metrics["kept"] == 43 - metrics["rejected"]["balance"]
    assert metrics["rejected"]["empty"] == 37


def test_the_stage_asks_a_server_and_writes_the_same_bytes_twice(project, chat_server, monkeypatch):
    root = project(engine="server", max_failed_share=0.1)
    monkeypatch.setenv("SYNTHPAIRS_LLM_URL", chat_server.url)
    chat_server.script = {"dog": [(400, {})]}
    first, rows, metrics = run(root)
    assert list(rows.columns) == INVENTED.names
    assert list(zip(rows["concept"], rows["number"], strict=True)) == [
        (name, number) for name in sorted(WORLD) for number in range(3)
    ]
    assert rows["status"].value_counts().to_dict() == {"kept": 11, "failed": 1}
    assert set(rows["model"]) == {"pinned-1-of-may", "pinned-1"}
    assert metrics["classes_reached"] == 1
    assert not (root / ".dvc/tmp/work/invent").exists()
    chat_server.script = {"dog": [(400, {})]}
    shutil.rmtree(root / "data")
    assert run(root)[0] == first
    assert len(chat_server.seen) == 12 + 1  # only what had failed was asked again


def test_a_model_that_writes_no_caption_leaves_an_empty_table(project, settings):
    _, table, metrics = run(project(replies=replace(settings().replies, words_min=12)))
    assert (len(table), set(table["status"])) == (12, {"rejected"})
    assert (metrics["kept"], metrics["classes_reached"], metrics["mean_words"]) == (0, 0, None)


def test_the_local_engine_resumes_and_writes_the_same_bytes_twice(project, monkeypatch):
    root, pieces, write = project(per_class=20), [], make.generate

    def killed_in_the_third(*arguments):
        if len(pieces) == 2 and not resumed:
            raise KeyboardInterrupt
        pieces.append(arguments[1])
        return write(*arguments)

    resumed = False
    monkeypatch.setattr("synthpairs.runtime.cached_map.PIECE", 16)
    monkeypatch.setattr(make, "generate", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        main()
    assert not (root / "data").exists()
    resumed = True
    first, rows, _ = run(root)
    assert len(pieces) == 80 / 16
    assert set(rows["status"]) == {"kept", "rejected"}
    assert {"cut", "unmentioned"} <= set(rows["reason"].dropna())
    assert rows["model"].str.fullmatch(".*@[0-9a-f]{12}").all()
    shutil.rmtree(root / "data")
    assert run(root)[0] == first
    assert len(pieces) == 2 * 80 / 16  # nothing was left in the store


def test_a_model_of_the_hub_is_fetched_and_recorded(project, settings, language_model, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(language_model))
    _, rows, metrics = run(project(local=replace(settings().local, llm="owner/name@v1"), per_class=10))
    hub = metrics["hub"]
    assert (hub["model"], hub["commit"]) == ("owner/name@v1", "")  # no snapshot, whose name is its commit
    assert set(rows["model"]) == {f"owner/name@v1@{hub['sha256'][:12]}"}
