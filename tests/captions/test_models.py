"""The filters that ask models: perplexity, the judge, and fit with the original picture."""

import io
from collections.abc import Callable
from pathlib import Path

import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image

from synthpairs.captions.alignment import Alignment
from synthpairs.captions.judging import drop_surprising, drop_unclear, judge_prompt
from synthpairs.captions.params import CaptionParams, Human, Limits
from synthpairs.captions.record import Caption
from synthpairs.captions.sources import human_captions
from synthpairs.language.likelihood import perplexity, yes_probability
from synthpairs.language.model import LanguageModel, load
from synthpairs.storage import WorkStore
from tests.captions.conftest import CONCEPTS

TEXTS = ["a dog", "two cats on a mat", "a bus  against\na red background", "x"]


@pytest.fixture(scope="module")
def lm(language_model: Path) -> LanguageModel:
    return load(language_model)


def made() -> list[Caption]:
    return [Caption(text=text, source="extra", concept="") for text in TEXTS]


def align(captions: list[Caption], params: CaptionParams) -> int:
    """Measure in two chunks, then decide; how many are said to stay."""
    alignment = Alignment(params)
    alignment.measure(captions[:5])
    alignment.measure(captions[5:])
    assert len(
        list(alignment.dropped(((caption.uid, caption) for caption in sorted(captions, key=lambda one: one.uid))))
    ) == len(captions)
    return alignment.kept()


def test_the_most_surprising_go(lm: LanguageModel, limits: Callable[..., Limits], store: WorkStore) -> None:
    values = [round(value, 1) for value in perplexity(lm, [" ".join(text.split()) for text in TEXTS], 1)]
    limit = sorted(values)[1]
    captions = made()
    drop_surprising(captions, limits(perplexity_max=limit), lm, 3, store)
    assert [caption.measures["perplexity"] for caption in captions] == pytest.approx(values, abs=0.11)
    assert [caption.reason is None for caption in captions] == [value <= limit for value in values]


def test_the_judge_keeps_what_it_says_yes_to(
    lm: LanguageModel, limits: Callable[..., Limits], store: WorkStore
) -> None:
    values = [round(value, 4) for value in yes_probability(lm, [judge_prompt(text) for text in TEXTS], 1)]
    limit = sorted(values)[2]
    captions = made()
    drop_unclear(captions, limits(judge_min=limit - 1e-3), lm, 3, store)
    assert [caption.measures["judge_yes"] for caption in captions] == pytest.approx(values, abs=2e-4)
    assert [caption.reason for caption in captions] == [None if value >= limit else "judge" for value in values]


def test_the_judge_reads_criteria_examples_and_the_caption_last() -> None:
    prompt = judge_prompt("a\ndog")
    for criterion in ("detailed", "coherent", "clear", "enough information", "Yes or No"):
        assert criterion in prompt
    assert prompt.endswith("Caption: a dog\nGood enough:")
    assert prompt.count("Good enough: Yes") == prompt.count("Good enough: No") == 9


def test_the_best_fitting_share_is_kept_and_pictureless_captions_pass(
    drawings: pd.DataFrame, settings: Callable[..., CaptionParams], limits: Callable[..., Limits]
) -> None:
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


def test_a_least_cosine_rejects_even_the_best(
    drawings: pd.DataFrame, settings: Callable[..., CaptionParams], limits: Callable[..., Limits]
) -> None:
    human = human_captions(drawings, CONCEPTS, Human(pictures=3, side=32, kinds={"single": 1.0}, noise={}), 0)
    assert align(human, settings(limits=limits(clip_min=1.0))) == 0
    assert {caption.reason for caption in human} == {"alignment"}
    assert align([Caption(text="a dog", source="model", concept="dog")], settings(clip="local-dir:none")) == 0
