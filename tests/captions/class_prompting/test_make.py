"""The stage `class_captions` with both engines: every request has an outcome, runs resume, and output is deterministic."""

import json
import shutil
from dataclasses import asdict, replace

import pandas as pd
import pytest

from stages.class_captions import main
from synthpairs.captions.class_prompting import make
from synthpairs.captions.class_prompting.bank import concept_bank
from synthpairs.captions.class_prompting.make import INVENTED, count_outcomes, outcomes
from synthpairs.captions.class_prompting.prompts import make_requests
from synthpairs.core.schema import caption_uid
from synthpairs.models.language.server import Reply
from tests.captions.class_prompting.conftest import WORLD
from tests.captions.conftest import outputs


@pytest.fixture
def project(project_root, settings):
    return lambda **changed: project_root(world={"concepts": WORLD}, class_captions=asdict(settings(**changed)))


def run(root):
    """Outputs, table and metrics of the stage."""
    main()
    files = outputs(root, "data/class_captions", "class_captions.json")
    return (
        files,
        pd.read_parquet(root / "data/class_captions/captions.parquet"),
        json.loads(files["class_captions.json"]),
    )


def test_outcomes_of_replies(settings):
    params = settings(per_class=4)
    concepts = concept_bank(params, ["cat", "dog"])
    texts = ["A cat on a mat", "A cat on a mat", "", "A cat and a dog", "A dog runs", "Sure, a dog", None, "A cat"]
    replies = [Reply(text or "", "m", error="it broke" if text is None else None) for text in texts]
    rows = outcomes(make_requests(concepts, params), replies, concepts, params)
    assert all(set(row) == set(INVENTED.names) for row in rows)
    assert {rows[0]["reason"], rows[1]["reason"]} == {None, "duplicate"}
    assert [row["reason"] for row in rows[2:]] == ["empty", None, None, "chatter", None, "unmentioned"]
    assert (rows[6]["status"], rows[6]["uid"], rows[6]["text"], rows[6]["detail"]) == ("failed", None, None, "it broke")
    assert (rows[2]["uid"], rows[4]["uid"]) == (None, caption_uid("A dog runs", "invented"))
    assert rows[3]["matched"] == ["cat", "dog"]
    assert count_outcomes(rows, 2) == {
        "asked": 8, "kept": 3, "rejected": {"chatter": 1, "duplicate": 1, "empty": 1, "unmentioned": 1}, "failed": 1,
        "classes": 2, "classes_reached": 1.0, "mean_words": 4.3333, "mean_concepts": 1.3333,
    }  # fmt: skip


def test_balancing_rejects_captions_of_frequent_concepts(settings):
    params = settings(per_class=40, balance=4)
    concepts = concept_bank(params, ["dog", "bus"])
    texts = [f"A dog number {number}" for number in range(40)] + [f"A bus number {number}" for number in range(3)]
    replies = [Reply(text, "m") for text in texts + [""] * 37]
    metrics = count_outcomes(outcomes(make_requests(concepts, params), replies, concepts, params), 2)
    assert 28 <= metrics["rejected"]["balance"] < 40
    assert metrics["kept"] == 43 - metrics["rejected"]["balance"]
    assert metrics["rejected"]["empty"] == 37


def test_output_with_a_server_is_deterministic(project, chat_server, monkeypatch):
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
    assert not (root / ".dvc/tmp/work/class_captions").exists()
    chat_server.script = {"dog": [(400, {})]}
    shutil.rmtree(root / "data")
    assert run(root)[0] == first
    assert len(chat_server.requests) == 12 + 1  # only the failed request is repeated


def test_no_kept_caption_is_a_valid_result(project, settings):
    _, table, metrics = run(project(replies=replace(settings().replies, words_min=12)))
    assert (len(table), set(table["status"])) == (12, {"rejected"})
    assert (metrics["kept"], metrics["classes_reached"], metrics["mean_words"]) == (0, 0, None)


def test_the_local_engine_resumes_and_its_output_is_deterministic(project, monkeypatch):
    root, batches, generate = project(per_class=20), [], make.generate

    def interrupted(*arguments):
        if len(batches) == 2 and not resumed:
            raise KeyboardInterrupt
        batches.append(arguments[1])
        return generate(*arguments)

    resumed = False
    monkeypatch.setattr("synthpairs.runtime.cached_map.BATCH", 16)
    monkeypatch.setattr(make, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main()
    assert not (root / "data").exists()
    resumed = True
    first, rows, _ = run(root)
    assert len(batches) == 80 / 16
    assert set(rows["status"]) == {"kept", "rejected"}
    assert {"cut", "unmentioned"} <= set(rows["reason"].dropna())
    assert rows["model"].str.fullmatch(".*@[0-9a-f]{12}").all()
    shutil.rmtree(root / "data")
    assert run(root)[0] == first
    assert len(batches) == 2 * 80 / 16  # the store was discarded


def test_a_hub_model_is_recorded(project, settings, language_model, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(language_model))
    _, rows, metrics = run(project(local=replace(settings().local, llm="owner/name@v1"), per_class=10))
    hub = metrics["hub"]
    assert (hub["model"], hub["commit"]) == (
        "owner/name@v1",
        "",
    )  # the commit is the name of a snapshot folder, and this is none
    assert set(rows["model"]) == {f"owner/name@v1@{hub['sha256'][:12]}"}
