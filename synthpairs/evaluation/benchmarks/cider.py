"""CIDEr-D (Vedantam et al. 2015, 1411.5726), as COCO's evaluation code computes it.

That is: n-grams of 1 to 4 words, weighted by term frequency and by inverse document frequency over the benchmark's own
references (a document is all references of one picture); clipped cosine with each reference, times a Gaussian of the
difference in length (sigma 6; length is counted in pairs of words, as there); mean over n and references, times 10.
One thing differs: COCO tokenises with the Penn Treebank tokeniser, which needs Java, and drops punctuation. Here a word is
a run of letters and digits in lower case (an apostrophe inside it stays). For captions of plain words both agree.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

LONGEST = 4  # words in an n-gram
SIGMA = 6.0
SCALE = 10.0
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")

Ngram = tuple[str, ...]


def tokens(text: str) -> list[str]:
    """The text's words."""
    return _WORD.findall(text.lower())


def cider_scores(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each prediction, from 0 to 10; `references[i]` are the captions of picture i."""
    counted = [[_ngrams(reference) for reference in captions] for captions in references]
    documents = Counter(ngram for captions in counted for ngram in set().union(*captions))
    idf = {ngram: math.log(len(counted)) - math.log(found) for ngram, found in documents.items()}
    unseen = math.log(len(counted)) if counted else 0.0
    return [
        _score(_ngrams(prediction), captions, idf, unseen)
        for prediction, captions in zip(predictions, counted, strict=True)
    ]


def mean_cider(answers: Sequence[tuple[str, list[str]]]) -> float:
    """Mean CIDEr-D of (prediction, references) pairs: the aggregation that lm-eval calls."""
    scores = cider_scores([prediction for prediction, _ in answers], [captions for _, captions in answers])
    return sum(scores) / len(scores)


def _ngrams(text: str) -> Counter[Ngram]:
    words = tokens(text)
    return Counter(
        tuple(words[start : start + size]) for size in range(1, LONGEST + 1) for start in range(len(words) - size + 1)
    )


def _score(prediction: Counter[Ngram], captions: list[Counter[Ngram]], idf: dict[Ngram, float], unseen: float) -> float:
    total = 0.0
    for caption in captions:
        gap = _pairs(prediction) - _pairs(caption)
        total += _similarity(prediction, caption, idf, unseen) * math.exp(-(gap**2) / (2 * SIGMA**2))
    return SCALE * total / len(captions)


def _pairs(counts: Counter[Ngram]) -> int:
    return sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _similarity(prediction: Counter[Ngram], caption: Counter[Ngram], idf: dict[Ngram, float], unseen: float) -> float:
    """Mean over n of the cosines, where the prediction's weights count no further than the caption's."""
    dots, ours, theirs = ([0.0] * LONGEST for _ in range(3))
    for ngram, count in prediction.items():
        weight = count * idf.get(ngram, unseen)
        ours[len(ngram) - 1] += weight**2
        other = caption[ngram] * idf.get(ngram, unseen)
        dots[len(ngram) - 1] += min(weight, other) * other
    for ngram, count in caption.items():
        theirs[len(ngram) - 1] += (count * idf[ngram]) ** 2
    cosines = [
        dot / math.sqrt(our * their)
        for dot, our, their in zip(dots, ours, theirs, strict=True)
        if our > 0 and their > 0
    ]
    return sum(cosines) / LONGEST
