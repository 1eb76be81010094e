"""Template captions with original images and noise."""

import io

import pytest
from PIL import Image

from synthpairs.captions.concepts import first_concept
from synthpairs.captions.params import Templates
from synthpairs.captions.templates import template_captions
from synthpairs.captions.text_filters import apply_rules
from tests.captions.conftest import CONCEPTS

KINDS = {"single": 0.6, "pair": 0.2, "several": 0.2}


def templates(pictures, **noise):
    return Templates(pictures=pictures, image_size=48, kinds=KINDS, noise=noise)


def test_images_show_training_drawings_and_captions_name_them(drawings):
    captions = template_captions(drawings, CONCEPTS, templates(200), 0)
    train = set(drawings.loc[drawings["split"] == "train", "drawing"])
    assert {drawing for caption in captions for drawing in caption.drawings} == train
    assert {len(caption.drawings) for caption in captions} == {1, 2, 3}
    assert all(first_concept(caption.text, [caption.concept]) for caption in captions)
    assert all(caption.noise is None and caption.source == "human" for caption in captions)
    image = Image.open(io.BytesIO(captions[0].original))
    assert (image.size, image.mode, image.format) == ((48, 48), "RGB", "PNG")


def test_a_caption_depends_only_on_seed_and_number(drawings):
    many = template_captions(drawings, CONCEPTS, templates(30, html=0.3), 1)
    assert template_captions(drawings, CONCEPTS, templates(10, html=0.3), 1) == many[:10]
    assert template_captions(drawings, CONCEPTS, templates(10, html=0.3), 2) != many[:10]


@pytest.mark.parametrize("kind", ["adult", "file_name", "html", "repeated"])
def test_rules_reject_noise(kind, drawings, limits):
    strict = limits(
        alnum_min=0.6, special_min=0.1, special_max=0.42, char_repetition_max=0.094, word_repetition_max=0.3,
        flagged_max=0.0, words_min=3, words_max=20,
    )  # fmt: skip
    texts = [caption.text for caption in template_captions(drawings, CONCEPTS, templates(40, **{kind: 1.0}), 0)]
    assert all(result.reason for result in apply_rules(texts, strict))


@pytest.mark.parametrize(
    ("concepts", "noise", "error"),
    [
        (CONCEPTS, {"smell": 0.1}, r"captions\.reference: 'smell' is not known; noise is one of adult"),
        (CONCEPTS, {"html": 0.6, "adult": 0.6}, "add up to at most 1"),
        (["unicorn"], {}, "no training drawing of unicorn"),
    ],
)
def test_invalid_params_and_missing_drawings_are_errors(drawings, concepts, noise, error):
    with pytest.raises(ValueError, match=error):
        template_captions(drawings, concepts, templates(1, **noise), 0)
