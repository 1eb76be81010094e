"""BLEU-1 to BLEU-4 (Papineni et al. 2002) and ROUGE-L (Lin 2004) of captions, as COCO's evaluation code computes them.

COCO splits words with the Penn Treebank tokeniser, which needs Java; here a word is what CIDEr-D takes for one
(`synthpairs.benchmarks.cider.tokens`). Where captions are words, spaces, commas and full stops both split alike. They
differ in three ways: the Treebank keeps a hyphenated word and signs like % and & as words of their own, it parts `dog's`
into two, and it knows letters beyond a to z.
"""

import math
import operator
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import get_args

import numpy as np

from synthpairs.benchmarks.cider import LONGEST, tokens
from synthpairs.benchmarks.suite_params import CaptionMetric
from synthpairs.statistics import LEVEL, interval

BLEUS = get_args(CaptionMetric)[:LONGEST]
BETA = 1.2  # weight of recall in ROUGE-L
SMALL, TINY = 1e-9, 1e-15  # COCO's, against division by zero; without a common 4-gram BLEU-4 is near 0, not 0
SIZES = range(1, LONGEST + 1)


def bleu_counts(prediction: str, captions: Sequence[str]) -> np.ndarray:
    """What BLEU needs of one picture; corpora add up.

    Words of the prediction, words of the caption nearest in length (of two the shorter), then for n from 1 to 4 the
    prediction's n-grams, and those of them that a caption has (each as often as the caption with most of it has it).
    """
    ours, theirs = tokens(prediction), [tokens(caption) for caption in captions]
    nearest = min(map(len, theirs), key=lambda length: (abs(length - len(ours)), length))
    found, common = [], []
    for size in SIZES:
        runs, most = _runs(ours, size), reduce(operator.or_, (_runs(words, size) for words in theirs))
        found.append(runs.total())
        common.append((runs & most).total())
    return np.array([len(ours), nearest, *found, *common], dtype=float)


def bleu(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to BLEU-4 [..., 4] of summed counts [..., 10], from 0 to 1: geometric mean of precisions, short ones penalised."""
    length, nearest = counts[..., :1], counts[..., 1:2]
    found, common = counts[..., 2 : 2 + LONGEST], counts[..., 2 + LONGEST :]
    precision = np.cumprod((common + TINY) / (found + SMALL), axis=-1) ** (1 / np.array(SIZES))
    ratio = (length + TINY) / (nearest + SMALL)
    return precision * np.exp(np.minimum(0.0, 1 - 1 / ratio))


def rouge_l(prediction: str, captions: Sequence[str]) -> float:
    """ROUGE-L of one picture, from 0 to 1: the best precision and the best recall among the captions, recall first."""
    ours = tokens(prediction)
    theirs = [words for words in map(tokens, captions) if words]
    if not ours or not theirs:
        return 0.0
    common = [_longest_common(ours, words) for words in theirs]
    precision = max(common) / len(ours)
    recall = max(length / len(words) for length, words in zip(common, theirs, strict=True))
    if not precision:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def overlap_numbers(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    clusters: Sequence[str],
    metrics: Sequence[CaptionMetric],
    resamples: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Value and 95% bootstrap interval (over clusters) of each of `metrics`: {metric: {value, low, high}}."""
    numbers: dict[str, tuple[float, float, float]] = {}
    if set(metrics) & set(BLEUS):
        found = _bleu_intervals(predictions, references, clusters, resamples, seed)
        numbers |= dict(zip(BLEUS, found, strict=True))
    if "rouge_l" in metrics:
        scores = [rouge_l(*pair) for pair in zip(predictions, references, strict=True)]
        mean = math.fsum(scores) / len(scores)
        numbers["rouge_l"] = (mean, *interval(scores, clusters, resamples, seed, (0.0, 1.0)))
    return {metric: dict(zip(("value", "low", "high"), numbers[metric], strict=True)) for metric in metrics}


def _bleu_intervals(
    predictions: Sequence[str], references: Sequence[Sequence[str]], clusters: Sequence[str], resamples: int, seed: int
) -> list[tuple[float, float, float]]:
    """BLEU is of a whole corpus, so each resample of clusters is a corpus of its own."""
    counts = np.stack([bleu_counts(*pair) for pair in zip(predictions, references, strict=True)])
    _, places = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.zeros((places.max() + 1, counts.shape[1]))
    np.add.at(sums, places, counts)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)  # [resample, cluster]
    edges = np.quantile(bleu(drawn @ sums), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [
        (float(value), float(low), float(high)) for value, low, high in zip(bleu(counts.sum(0)), *edges, strict=True)
    ]


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    """The n-grams of one size."""
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest sequence of words that both have in this order, gaps allowed."""
    lengths = [0] * (len(other) + 1)
    for word in one:
        before = 0  # the length above and to the left
        for place, mate in enumerate(other, 1):
            before, lengths[place] = (
                lengths[place],
                before + 1 if word == mate else max(lengths[place], lengths[place - 1]),
            )
    return lengths[-1]
