"""The filters that ask models: perplexity, the judge, and fit with the original picture."""

import io
import shutil

import open_clip
import pytest
import torch
from PIL import Image

from synthpairs.captions.alignment import Alignment
from synthpairs.captions.blip import BlipFilter
from synthpairs.captions.judging import drop_refused, drop_surprising, drop_unclear, judge_prompt, parse_verdict
from synthpairs.captions.models import load_models
from synthpairs.captions.params import Blip, Human, Judge, Perplexity
from synthpairs.captions.record import Caption
from synthpairs.captions.sources import human_captions
from synthpairs.models.language.likelihood import perplexity, yes_probability
from synthpairs.models.language.model import load
from synthpairs.models.language.params import Served
from tests.captions.conftest import CONCEPTS
from tests.captions.tiny import save_blip

TEXTS = ["a dog", "two cats on a mat", "a bus  against\na red background", "x"]


@pytest.fixture(scope="module")
def lm(language_model):
    return load(language_model)


def made():
    return [Caption(text=text, source="extra", concept="") for text in TEXTS]


def align(captions, params):
    """Measure in two chunks, then decide; how many are said to stay."""
    alignment = Alignment(params)
    alignment.measure(captions[:5])
    alignment.measure(captions[5:])
    assert len(
        list(alignment.filtered((caption.uid, caption) for caption in sorted(captions, key=lambda one: one.uid)))
    ) == len(captions)
    return alignment.kept()


def test_the_most_surprising_go(lm, limits, store):
    values = [round(value, 1) for value in perplexity(lm, [" ".join(text.split()) for text in TEXTS], 1)]
    limit = sorted(values)[1]
    captions = made()
    drop_surprising(captions, limits(perplexity_max=limit), lm, 3, store)
    assert [caption.measures["perplexity"] for caption in captions] == pytest.approx(values, abs=0.11)
    assert [caption.reason is None for caption in captions] == [value <= limit for value in values]


def test_the_judge_keeps_what_it_says_yes_to(lm, limits, store):
    values = [round(value, 4) for value in yes_probability(lm, [judge_prompt(text) for text in TEXTS], 1)]
    limit = sorted(values)[2]
    captions = made()
    drop_unclear(captions, limits(judge_min=limit - 1e-3), lm, 3, store)
    assert [caption.measures["judge_yes"] for caption in captions] == pytest.approx(values, abs=2e-4)
    assert [caption.reason for caption in captions] == [None if value >= limit else "judge" for value in values]


def test_the_best_fitting_share_is_kept_and_pictureless_captions_pass(drawings, settings, limits):
    human = human_captions(drawings, CONCEPTS, Human(pictures=9, side=32, kinds={"single": 1.0}, noise={}), 0)
    captions = [*human, Caption(text="a dog", source="model", concept="dog")]
    params = settings(limits=limits(clip_top_share=0.4), batch=4)
    assert align(captions, params) == 4
    assert captions[-1].reason is None
    assert not captions[-1].measures
    model, _, transform = open_clip.create_model_and_transforms(params.clip)
    tokenizer = open_clip.get_tokenizer(params.clip)
    for caption in human:
        with torch.inference_mode():
            picture = transform(Image.open(io.BytesIO(caption.original or b"")).convert("RGB"))[None]
            image = model.eval().encode_image(picture, normalize=True)
            expected = (image @ model.encode_text(tokenizer([caption.text]), normalize=True).T).item()
        assert caption.measures["clip_original"] == pytest.approx(expected, abs=2e-4)
    kept = [caption for caption in human if caption.reason is None]
    assert len(kept) == 4  # 0.4 of 9, rounded up
    worst = min(caption.measures["clip_original"] for caption in kept)
    assert all(caption.measures["clip_original"] <= worst for caption in human if caption.reason)


def test_a_least_cosine_rejects_even_the_best(drawings, settings, limits):
    human = human_captions(drawings, CONCEPTS, Human(pictures=3, side=32, kinds={"single": 1.0}, noise={}), 0)
    assert align(human, settings(limits=limits(clip_min=1.0))) == 0
    assert {caption.reason for caption in human} == {"alignment"}
    assert align([Caption(text="a dog", source="model", concept="dog")], settings(clip="local-dir:none")) == 0


JUDGE = Judge(engine="server", server=Served(model="pinned-1", extra={}), max_failed_share=0.25)


def said(content):
    return {"model": "pinned-1-of-may", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Yes", True), ("yes.", True), (' **"No"** ', False), ("<think>\nNo, or yes?\n</think>\nYes", True),
        ("Yes, it is clear", None), ("Not sure", None), ("", None), ("<think>Yes", None), ("Yes No", None),
    ],
)  # fmt: skip
def test_a_verdict_is_yes_or_no_and_nothing_else(answer, verdict):
    assert parse_verdict(answer) is verdict


def test_a_served_judge_says_yes_no_or_something_unclear_and_nothing_is_lost(limits, chat_server, connection):
    texts = ["a dog", "thing", "two cats on a mat", "a bus"]
    chat_server.script = {
        "a dog": [(503, {}), said("Yes.")], "thing": [said("No")], "two cats on a mat": [said("It depends")],
        "a bus": [(400, {})],
    }  # fmt: skip
    captions = [Caption(text=text, source="extra", concept="") for text in texts]
    drop_refused(captions, limits(judge_min=0.5), JUDGE, connection)
    assert [caption.reason for caption in captions] == [None, "judge", "judge_unclear", "judge_failed"]
    assert [caption.measures for caption in captions] == [{"judge_yes": 1.0}, {"judge_yes": 0.0}, {}, {}]
    assert captions[1].detail == "pinned-1-of-may says No"
    assert "It depends" in captions[2].detail
    assert "HTTP 400" in captions[3].detail
    body = next(body for body in chat_server.seen if body["messages"][1]["content"] == "Caption: a dog")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0, 8, "pinned-1")
    seen = len(chat_server.seen)
    again = [Caption(text=text, source="extra", concept="") for text in texts[:3]]
    drop_refused(again, limits(judge_min=0.5), JUDGE, connection)
    assert [caption.reason for caption in again] == [None, "judge", "judge_unclear"]
    assert len(chat_server.seen) == seen  # nothing is paid for twice


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    return save_blip(tmp_path_factory.mktemp("blip"))


def test_blip_matches_as_transformers_does_and_pictureless_captions_pass(blip, drawings):
    from transformers import AutoProcessor, BlipForImageTextRetrieval

    human = human_captions(drawings, CONCEPTS, Human(pictures=6, side=32, kinds={"single": 1.0}, noise={}), 0)
    model, processor = BlipForImageTextRetrieval.from_pretrained(blip).eval(), AutoProcessor.from_pretrained(blip)
    expected = []
    for caption in human:
        picture = Image.open(io.BytesIO(caption.original or b"")).convert("RGB")
        with torch.inference_mode():
            score = model(**processor(text=caption.text, images=picture, return_tensors="pt")).itm_score
        expected.append(score.softmax(1)[0, 1].item())
    limit = round(sorted(expected)[2], 4) - 1e-4
    captions = [*human, Caption(text="a dog", source="model", concept="dog")]
    BlipFilter(Blip(model=str(blip), min=limit, max=1.0), 4).drop_unmatched(captions)
    assert [caption.measures["blip_itm"] for caption in human] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 1e-3
    assert [caption.reason for caption in human] == [None if value >= limit else "blip" for value in expected]
    assert (captions[-1].reason, captions[-1].measures) == (None, {})


def test_models_of_the_hub_are_fetched_without_code_and_recorded(language_model, settings, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshots" / ("0123456789" * 4)

    def fetch(model, revision, allow_patterns):
        assert (model, revision) == ("owner/name", "v1")
        assert {"*.safetensors", "*.json"} <= set(allow_patterns)
        assert not {pattern for pattern in allow_patterns if pattern.endswith((".bin", ".pt", ".py", "*"))}
        shutil.copytree(language_model, snapshot)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    models = load_models(settings(llm="owner/name@v1"))
    assert models.lm is not None
    assert models.hub == {"llm": {"model": "owner/name@v1", "commit": "0123456789" * 4, "sha256": models.weights}}
    assert load_models(settings()).weights == models.weights
    assert load_models(settings()).hub == {}


def test_what_nobody_asks_need_not_be_there(settings):
    values = {
        "perplexity": Perplexity(engine="none", kenlm="none"),
        "judge": Judge(engine="none", server=JUDGE.server, max_failed_share=0),
    }
    models = load_models(settings(llm="nowhere", **values))
    assert (models.lm, models.weights, models.kenlm, models.server, models.blip) == (None,) * 5
    with pytest.raises(FileNotFoundError, match=r"params\.yaml: captions\.llm: 'nowhere' is neither a directory"):
        load_models(settings(llm="nowhere", **values), writes=True)
