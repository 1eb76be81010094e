"""BLEU and ROUGE-L against values worked out by hand and against coco-caption's own."""

import math

import numpy as np
import pytest

from synthpairs.benchmarks.overlap import BLEUS, bleu, bleu_counts, overlap_numbers, rouge_l

REFERENCES = [
    ["a dog on a red background", "a picture of a dog on red"],
    ["two cats on a blue background", "two cats, blue background"],
    ["a dog on the left and a cat on the right"],
]
PREDICTIONS = ["a dog on a red background", "two dogs on a red background", "a cat on the left and a dog"]
ALL = [*BLEUS, "rouge_l"]

# Of pycocoevalcap 1.2 (bleu/bleu.py and rouge/rouge.py) on the same words: predictions, references, BLEU-1 to 4, ROUGE-L of each.
COCO = [
    (
        PREDICTIONS,
        REFERENCES,
        [0.7746371787050883, 0.7140428879921177, 0.6558526822792048, 0.6032652683504228],
        [1.0, 0.6666666666666666, 0.6140939597315436],
    ),
    (
        PREDICTIONS[1:2],
        REFERENCES[1:2],
        [0.6666666664444446, 0.3651483715423091, 3.218297947487514e-06, 1.0266900956653875e-08],
        [0.6666666666666666],
    ),
    (
        ["", PREDICTIONS[1]],
        REFERENCES[:2],
        [0.24525296069921063, 0.13433057886764688, 1.1839456504449066e-06, 3.776981786496375e-09],
        [0.0, 0.6666666666666666],
    ),
    (
        ["dog dog dog dog dog dog dog dog"],
        [["a dog", "the dog runs dog"]],
        [0.2499999999687501, 5.976143045871594e-09, 1.8123006214089937e-11, 1.0445522729063402e-12],
        [0.3546511627906977],
    ),
]


@pytest.mark.parametrize(("predictions", "references", "bleus", "rouges"), COCO)
def test_as_coco_caption(
    predictions: list[str], references: list[list[str]], bleus: list[float], rouges: list[float]
) -> None:
    counts = sum(bleu_counts(*pair) for pair in zip(predictions, references, strict=True))
    assert bleu(counts) == pytest.approx(bleus, rel=1e-9, abs=1e-15)
    assert [rouge_l(*pair) for pair in zip(predictions, references, strict=True)] == pytest.approx(rouges, abs=1e-12)


def test_bleu_by_hand() -> None:
    """Five words against six: precisions 4/5, 2/4, 1/3, 0, and exp(1 - 6/5) for being short."""
    counts = bleu_counts("a dog on red ground", ["a dog on the red background"])
    assert counts.tolist() == [5, 6, 5, 4, 3, 2, 4, 2, 1, 0]
    short = math.exp(1 - 6 / 5)
    expected = [0.8 * short, math.sqrt(0.8 * 0.5) * short, (0.8 * 0.5 / 3) ** (1 / 3) * short]
    assert bleu(counts)[:3] == pytest.approx(expected, abs=1e-6)
    assert bleu(counts)[3] == pytest.approx(0, abs=1e-3)


def test_of_two_captions_equally_near_the_shorter_counts() -> None:
    assert bleu_counts("a b c", ["a b c d", "a b"])[1] == 2


def test_rouge_takes_the_longest_common_sequence_with_gaps() -> None:
    """`a ... on red` of 4 and 6 words: precision 3/4, recall 3/6, weighted with 1.2 squared."""
    precision, recall = 3 / 4, 3 / 6
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert rouge_l("a cat on red", ["a dog sits on the red"]) == pytest.approx(expected)
    assert rouge_l("red on cat a", ["a dog sits on the red"]) < expected
    assert rouge_l("", ["a dog"]) == rouge_l("a dog", ["!"]) == rouge_l("x", ["a dog"]) == 0.0


def test_numbers_have_intervals_over_clusters() -> None:
    many = 20
    clusters = [f"{place % 3}" for place in range(3 * many)]
    numbers = overlap_numbers(PREDICTIONS * many, REFERENCES * many, clusters, ALL, 500, 0)
    assert list(numbers) == ALL
    assert [numbers[metric]["value"] for metric in ALL] == pytest.approx([*COCO[0][2], np.mean(COCO[0][3])])
    for entry in numbers.values():
        assert entry["low"] < entry["value"] < entry["high"] <= 1  # three clusters, however often each is repeated
    assert numbers == overlap_numbers(PREDICTIONS * many, REFERENCES * many, clusters, ALL, 500, 0)
    assert overlap_numbers(PREDICTIONS, REFERENCES, clusters[:3], ["rouge_l"], 500, 0).keys() == {"rouge_l"}
