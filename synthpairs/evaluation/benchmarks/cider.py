"""CIDEr-D (Vedantam et al. 2015, 1411.5726), as COCO's evaluation code computes it.

N-grams of 1 to 4 words are weighted by term frequency and by inverse document frequency over the benchmark's own
references (a document is all references of one image). A score is the clipped cosine with a reference times a Gaussian
of the difference in length (sigma 6, length in pairs of words), averaged over n and references, times 10. COCO
tokenises with the Penn Treebank tokeniser, which needs Java, and drops punctuation. Here a word is a run of letters and
digits in lower case, apostrophes inside it kept. For captions of plain words both agree.
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
    """Words of a text, in lower case."""
    return _WORD.findall(text.lower())


def cider_scores(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each prediction, from 0 to 10; `references[i]` are the captions of image i."""
    counted = [[_ngrams(reference) for reference in captions] for captions in references]
    documents = Counter(ngram for captions in counted for ngram in set().union(*captions))
    idf = {ngram: math.log(len(counted)) - math.log(count) for ngram, count in documents.items()}
    default = math.log(len(counted)) if counted else 0.0  # of an n-gram that no reference has
    return [
        _score(_ngrams(prediction), captions, idf, default)
        for prediction, captions in zip(predictions, counted, strict=True)
    ]


def mean_cider(answers: Sequence[tuple[str, list[str]]]) -> float:
    """Mean CIDEr-D of (prediction, references) pairs; lm-eval's aggregation function."""
    scores = cider_scores([prediction for prediction, _ in answers], [captions for _, captions in answers])
    return sum(scores) / len(scores)


def _ngrams(text: str) -> Counter[Ngram]:
    words = tokens(text)
    return Counter(
        tuple(words[start : start + size]) for size in range(1, LONGEST + 1) for start in range(len(words) - size + 1)
    )


def _score(
    prediction: Counter[Ngram], captions: list[Counter[Ngram]], idf: dict[Ngram, float], default: float
) -> float:
    total = 0.0
    for caption in captions:
        gap = _pairs(prediction) - _pairs(caption)
        total += _similarity(prediction, caption, idf, default) * math.exp(-(gap**2) / (2 * SIGMA**2))
    return SCALE * total / len(captions)


def _pairs(counts: Counter[Ngram]) -> int:
    return sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _similarity(prediction: Counter[Ngram], caption: Counter[Ngram], idf: dict[Ngram, float], default: float) -> float:
    """Mean over n of the cosines; the prediction's weights are clipped to the caption's."""
    dots, prediction_norms, caption_norms = ([0.0] * LONGEST for _ in range(3))
    for ngram, count in prediction.items():
        weight = count * idf.get(ngram, default)
        prediction_norms[len(ngram) - 1] += weight**2
        other = caption[ngram] * idf.get(ngram, default)
        dots[len(ngram) - 1] += min(weight, other) * other
    for ngram, count in caption.items():
        caption_norms[len(ngram) - 1] += (count * idf[ngram]) ** 2
    cosines = [
        dot / math.sqrt(one * other)
        for dot, one, other in zip(dots, prediction_norms, caption_norms, strict=True)
        if one > 0 and other > 0
    ]
    return sum(cosines) / LONGEST
