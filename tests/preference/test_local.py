"""P(yes) is the model's own, whatever stands beside it in the batch; the higher one wins."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from synthpairs.preference.couples import Couple
from synthpairs.preference.judges import Comparison
from synthpairs.preference.local import local_answers, yes_probability
from synthpairs.preference.params import Preference
from synthpairs.vlm import load


def test_probability_is_that_of_the_picture_asked_alone(couples: list[Couple], vlm: Path, settings) -> None:
    model, processor = load(vlm)
    model.float()
    shown = [(couple.text[: 20 + place], couple.synthetic) for place, couple in enumerate(couples)]
    together = yes_probability(model, processor, shown, settings().local)
    for (caption, picture), value in zip(shown, together, strict=True):
        prompt = f"<|im_start|>user\n<image>\nIs this {caption}? Answer yes or no.<|im_end|>\n<|im_start|>assistant\n"
        inputs = processor(images=[Image.open(io.BytesIO(picture))], text=[prompt], return_tensors="pt")
        with torch.inference_mode():
            chances = model(**inputs).logits[0, -1].softmax(0)
        yes, no = (
            sum(chances[processor.tokenizer.convert_tokens_to_ids(letter)] for letter in word) for word in ("Yy", "Nn")
        )
        assert value == pytest.approx(float(yes / (yes + no)), abs=1e-5)
    assert len(set(together)) > 1


def test_the_order_of_two_pictures_changes_nothing(couples: list[Couple], vlm: Path, settings) -> None:
    asked = [Comparison(couple.text, couple.synthetic, couple.real) for couple in couples]
    swapped = [Comparison(one.caption, one.second, one.first) for one in asked]
    scores = [answer.score for answer in local_answers(asked, str(vlm), settings().local)]
    assert [1 - answer.score for answer in local_answers(swapped, str(vlm), settings().local)] == scores
    assert set(scores) - {0.5}


def test_near_probabilities_tie(couples: list[Couple], vlm: Path, settings: Callable[..., Preference]) -> None:
    asked = [Comparison(couple.text, couple.synthetic, couple.real) for couple in couples]
    answers = local_answers(asked, str(vlm), replace(settings().local, margin=1.0))
    assert {(answer.score, answer.trouble) for answer in answers} == {(0.5, None)}


def test_a_model_that_is_not_there_is_named(settings: Callable[..., Preference]) -> None:
    with pytest.raises(FileNotFoundError, match=r"preference\.local\.models: 'models/none' .*dvc repro finetune"):
        local_answers([], "models/none", settings().local)
