"""CIDEr-D against values computed by hand and by coco-caption."""

import math

import pytest

from synthpairs.evaluation.benchmarks.cider import cider_scores, mean_cider, tokens


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        ("a dog", 10 * (1 + 1 + 0 + 0) / 4),  # words and pairs agree; there are no longer n-grams
        ("A dog.", 5.0),
        ("a cat", 0.0),
        ("a", 0.0),  # in every document, so without weight
        ("", 0.0),
        ("dog", 10 / 4 * math.exp(-1 / 72)),  # one pair of words fewer than the reference
        ("dog dog", 10 / 4 * 0.5),  # clipped: log2 * log2 / (2 log2 * log2); the pair `dog dog` is in no reference
    ],
)
def test_by_hand(prediction, score):
    """With two images, `a dog` and `a cat`: idf is 0 for `a`, log 2 for everything else."""
    assert cider_scores([prediction, "a cat"], [["a dog"], ["a cat"]]) == pytest.approx([score, 5.0])


def test_as_coco_caption():
    """Values of pycocoevalcap/cider/cider_scorer.py on the same words."""
    references = [
        ["a dog on a red background", "a picture of a dog on red"],
        ["two cats on a blue background", "two cats, blue background"],
        ["a dog on the left and a cat on the right"],
    ]
    predictions = ["a dog on a red background", "two dogs on a red background", "a cat on the left and a dog"]
    expected = [5.85247441226675, 0.9224123684001145, 6.561765234340731]
    assert cider_scores(predictions, references) == pytest.approx(expected, abs=1e-12)
    assert mean_cider(list(zip(predictions, references, strict=True))) == pytest.approx(sum(expected) / 3)
    assert tokens("It's 2 DOGS, (red)!") == ["it's", "2", "dogs", "red"]
