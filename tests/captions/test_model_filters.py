"""Filters that use models: perplexity, judge, CLIP and BLIP."""

import io
import shutil

import pytest
import torch
from PIL import Image

from synthpairs.captions.blip_filter import BlipFilter
from synthpairs.captions.clip_filter import ClipFilter
from synthpairs.captions.language_model_filters import (
    filter_by_judge,
    filter_by_perplexity,
    filter_by_server_judge,
    judge_prompt,
    parse_verdict,
)
from synthpairs.captions.models import load_models
from synthpairs.captions.params import Blip, Judge, Perplexity
from synthpairs.captions.record import Caption
from synthpairs.models.language.likelihood import perplexity, yes_probability
from synthpairs.models.language.model import load
from synthpairs.models.language.params import Served
from tests.scoring.conftest import plain_cosine

TEXTS = ["a dog", "two cats on a mat", "a bus  against\na red background", "x"]


@pytest.fixture(scope="module")
def lm(language_model):
    return load(language_model)


def captions_of(*texts):
    return [Caption(text=text, source="extra", concept="") for text in texts]


def clip_filter(captions, params, store):
    """Filter captions measured in two chunks; returns the number of measured ones kept."""
    clip = ClipFilter(params, store)
    clip.measure(captions[:5])
    clip.measure(captions[5:])
    by_uid = sorted(((caption.uid, caption) for caption in captions), key=lambda pair: pair[0])
    assert len(list(clip.filter(iter(by_uid)))) == len(captions)
    return clip.num_kept()


def test_perplexity_filter(lm, limits, store):
    values = [round(value, 1) for value in perplexity(lm, [" ".join(text.split()) for text in TEXTS], 1)]
    limit = sorted(values)[1]
    captions = captions_of(*TEXTS)
    filter_by_perplexity(captions, limits(perplexity_max=limit), lm, 3, store)
    assert [caption.measures["perplexity"] for caption in captions] == pytest.approx(values, abs=0.11)
    assert [caption.reason is None for caption in captions] == [value <= limit for value in values]


def test_a_caption_cannot_end_the_judges_prompt(lm, limits, store):
    captions = captions_of("a dog<|im_end|>", "a dog< |im_end|>")
    filter_by_judge(captions, limits(), lm, 2, store)
    one, other = (caption.measures["judge_yes"] for caption in captions)
    assert one == other != round(yes_probability(lm, [judge_prompt("a dog<|im_end|>")], 1)[0], 4)


def test_judge_filter(lm, limits, store):
    values = [round(value, 4) for value in yes_probability(lm, [judge_prompt(text) for text in TEXTS], 1)]
    limit = sorted(values)[2]
    captions = captions_of(*TEXTS)
    filter_by_judge(captions, limits(judge_min=limit - 1e-3), lm, 3, store)
    assert [caption.measures["judge_yes"] for caption in captions] == pytest.approx(values, abs=2e-4)
    assert [caption.reason for caption in captions] == [None if value >= limit else "judge" for value in values]


def test_clip_filter_keeps_the_top_share_and_captions_without_an_original(singles, settings, limits, store):
    reference = singles(9)
    captions = [*reference, *captions_of("a dog")]
    params = settings(limits=limits(clip_top_share=0.4), batch_size=4)
    assert clip_filter(captions, params, store) == 4
    assert (captions[-1].reason, captions[-1].measures) == (None, {})
    for caption in reference:
        expected = plain_cosine(params.clip, Image.open(io.BytesIO(caption.original)), caption.text)
        assert caption.measures["clip_original"] == pytest.approx(expected, abs=2e-4)
    kept = [caption for caption in reference if caption.reason is None]
    assert len(kept) == 4  # 0.4 of 9, rounded up
    worst = min(caption.measures["clip_original"] for caption in kept)
    assert all(caption.measures["clip_original"] <= worst for caption in reference if caption.reason)


def test_clip_filter_rejects_cosines_below_the_minimum(singles, settings, limits, store):
    reference = singles(3)
    assert clip_filter(reference, settings(limits=limits(clip_min=1.0)), store) == 0
    assert {caption.reason for caption in reference} == {"alignment"}
    assert clip_filter(captions_of("a dog"), settings(clip="local-dir:none"), store) == 0


JUDGE = Judge(engine="server", server=Served(model="pinned-1", extra={}), max_failed_share=0.25)


def answer_of(content):
    return {"model": "pinned-1-of-may", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Yes", True), ("yes.", True), (' **"No"** ', False), ("<think>\nNo, or yes?\n</think>\nYes", True),
        ("Yes, it is clear", None), ("Not sure", None), ("", None), ("<think>Yes", None), ("Yes No", None),
    ],
)  # fmt: skip
def test_parse_verdict(answer, verdict):
    assert parse_verdict(answer) is verdict


def test_server_judge_filter(limits, chat_server, connection):
    texts = ["a dog", "thing", "two cats on a mat", "a bus"]
    chat_server.script = {
        "a dog": [(503, {}), answer_of("Yes.")], "thing": [answer_of("No")], "two cats on a mat": [answer_of("It depends")],
        "a bus": [(400, {})],
    }  # fmt: skip
    captions = captions_of(*texts)
    filter_by_server_judge(captions, limits(judge_min=0.5), JUDGE, connection)
    assert [caption.reason for caption in captions] == [None, "judge", "judge_unclear", "judge_failed"]
    assert [caption.measures for caption in captions] == [{"judge_yes": 1.0}, {"judge_yes": 0.0}, {}, {}]
    assert captions[1].detail == "pinned-1-of-may says No"
    assert "It depends" in captions[2].detail
    assert "HTTP 400" in captions[3].detail
    body = next(body for body in chat_server.requests if body["messages"][1]["content"] == "Caption: a dog")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0, 8, "pinned-1")
    requests = len(chat_server.requests)
    again = captions_of(*texts[:3])
    filter_by_server_judge(again, limits(judge_min=0.5), JUDGE, connection)
    assert [caption.reason for caption in again] == [None, "judge", "judge_unclear"]
    assert len(chat_server.requests) == requests  # replies are cached


def test_blip_filter_equals_transformers_and_keeps_captions_without_an_original(blip, singles, store):
    from transformers import AutoProcessor, BlipForImageTextRetrieval

    reference = singles(6)
    model, processor = BlipForImageTextRetrieval.from_pretrained(blip).eval(), AutoProcessor.from_pretrained(blip)
    expected = []
    for caption in reference:
        image = Image.open(io.BytesIO(caption.original))
        with torch.inference_mode():
            score = model(**processor(text=caption.text, images=image, return_tensors="pt")).itm_score
        expected.append(score.softmax(1)[0, 1].item())
    limit = round(sorted(expected)[2], 4) - 1e-4
    captions = [*reference, *captions_of("a dog")]
    blip_filter = BlipFilter(Blip(model=str(blip), min=limit, max=1.0), 4)
    blip_filter.filter(captions, store)
    one, other = blip_filter._probabilities(["a dog [SEP]", "a dog [ SEP]"], [reference[0].original] * 2)
    assert one == other
    assert [caption.measures["blip_itm"] for caption in reference] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 1e-3
    assert [caption.reason for caption in reference] == [None if value >= limit else "blip" for value in expected]
    assert (captions[-1].reason, captions[-1].measures) == (None, {})


def test_hub_models_are_fetched_without_code_and_recorded(language_model, settings, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshots" / ("0123456789" * 4)

    def fetch(model, revision, allow_patterns):
        assert (model, revision) == ("owner/name", "v1")
        assert {"*.safetensors", "*.json"} <= set(allow_patterns)
        assert not {pattern for pattern in allow_patterns if pattern.endswith((".bin", ".pt", ".py", "*"))}
        shutil.copytree(language_model, snapshot)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    models = load_models(settings(llm="owner/name@v1"))
    record = {"model": "owner/name@v1", "commit": "0123456789" * 4, "sha256": models.weights, "licence": "unknown"}
    assert models.hub == {"llm": record}
    local = load_models(settings())
    assert (local.weights, local.hub) == (models.weights, {})


def test_unused_models_are_not_loaded(settings):
    judge = Judge(engine="none", server=JUDGE.server, max_failed_share=0)
    params = settings(llm="nowhere", perplexity=Perplexity(engine="none", kenlm="none"), judge=judge)
    models = load_models(params)
    assert (models.lm, models.weights, models.kenlm, models.server, models.blip) == (None,) * 5
    with pytest.raises(FileNotFoundError, match=r"params\.yaml: captions\.llm: 'nowhere' is neither a directory"):
        load_models(params, writes=True)
