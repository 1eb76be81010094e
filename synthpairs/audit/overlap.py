"""How much of a caption's wording benchmark texts have too: shared word n-grams, as in GPT-3's paper (2005.14165, C)."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from synthpairs.schema import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """One caption beside all benchmark texts."""

    share: float  # of its different n-grams that any of them has
    exact: bool  # whether one of them is the caption, but for space and Unicode forms
    item: str | None  # that shares most; None without a shared n-gram


class Wording:
    """Benchmark texts, made ready to be compared with.

    A text with fewer than n words counts as one n-gram of all its words, so a short caption matches only a text that says the
    same words and no more. Case and punctuation do not count.
    """

    def __init__(self, texts: Mapping[str, str], n: int) -> None:
        """`texts`: the benchmark item of each text."""
        self._n = n
        self._exact = {normalise(text): item for text, item in texts.items()}
        self._items = sorted(set(texts.values()))
        numbers = {item: number for number, item in enumerate(self._items)}
        self._having: dict[str, list[int]] = {}
        for text, item in sorted(texts.items()):
            for gram in ngrams(text, n):
                having = self._having.setdefault(gram, [])
                if numbers[item] not in having[-1:]:
                    having.append(numbers[item])

    def compare(self, caption: str) -> Overlap:
        """The caption's overlap; of items that share equally much the first by name is told, an exact one before all."""
        grams = ngrams(caption, self._n)
        shared = [gram for gram in grams if gram in self._having]
        exact = self._exact.get(normalise(caption))
        counts = Counter(number for gram in shared for number in set(self._having[gram]))
        best = min(counts, key=lambda number: (-counts[number], number), default=None)
        item = exact if exact is not None or best is None else self._items[best]
        return Overlap(share=len(shared) / len(grams) if grams else 0.0, exact=exact is not None, item=item)


def ngrams(text: str, n: int) -> list[str]:
    """The different word n-grams of a text in order; all its words where there are fewer than n."""
    words = words_of(text)
    ends = range(min(n, len(words)), len(words) + 1) if words else ()
    return list(dict.fromkeys(" ".join(words[max(0, end - n) : end]) for end in ends))


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"\w+", normalise(text).casefold())
