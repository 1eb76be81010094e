"""What becomes of the language model's replies."""

from pathlib import Path

import pytest

from synthpairs.captions.params import Model
from synthpairs.captions.writing import model_captions, parse_reply
from synthpairs.models.language.model import load


@pytest.mark.parametrize(
    ("reply", "text", "fault"),
    [
        ("A dog on a blue background", "A dog on a blue background", None),
        ('  "Two dogs on a mat."\nI hope you like it!', "Two dogs on a mat.", None),
        ("\nCaption: a dog in a red hat", "a dog in a red hat", None),
        ("", "", "empty"),
        (' "" ', ' "" ', "empty"),
        ("Here is a caption for a dog", "Here is a caption for a dog", "talks about the task"),
        ("I'm sure that a dog is fine", "I'm sure that a dog is fine", "talks about the task"),
        ("The picture of the dog:", "The picture of the dog:", "talks about the task"),
        ("a dog. Background colour: red.", "a dog. Background colour: red.", "repeats the prompt"),
        ("A red fox on a blue background", "A red fox on a blue background", "repeats the prompt"),
        ("A cat on a mat", "A cat on a mat", "does not mention dog"),
    ],
)
def test_reply(reply, text, fault):
    assert parse_reply(reply, "dog") == (text, fault)


def test_every_reply_is_counted_and_depends_on_its_number_alone(settings, store):
    params = settings()
    lm = load(Path(params.llm))
    few = model_captions(lm, ["cat", "dog"], params.model, 0, 4, store)
    more = Model(per_concept=5, sampling=params.model.sampling)
    many = model_captions(lm, ["cat", "dog"], more, 0, 4, store)
    assert len(few) == 6
    assert len(many) == 10
    assert few == many[:3] + many[5:8]
    assert all(caption.reason == "reply" for caption in few)  # a random model names no cat
    assert model_captions(lm, ["cat", "dog"], params.model, 1, 4, store) != few
