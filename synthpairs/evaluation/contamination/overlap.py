"""Benchmark texts and images, and the n-gram overlap of captions with the texts as for GPT-3 (2005.14165, appendix C)."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthpairs.core.schema import normalise
from synthpairs.core.storage import read_table

INSTRUCTIONS = "instructions"  # in the same directory, but training data


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What benchmarks hold. An item is TASK/UID; of items with equal content the first counts."""

    texts: dict[str, str]  # item by question, answer or reference, normalised
    images: dict[str, bytes]  # encoded image by item


def read_references(tasks: Path) -> References:
    """Texts and images of all benchmark tables (BENCHMARK) in a directory; FileNotFoundError without one."""
    texts: dict[str, str] = {}
    images: dict[str, tuple[str, bytes]] = {}
    tables = sorted(path for path in tasks.glob("*.parquet") if path.stem != INSTRUCTIONS)
    if not tables:
        raise FileNotFoundError(f"{tasks} holds no benchmark: run `dvc repro tasks` first")
    for path in tables:
        for row in read_table(path, "dvc repro tasks").sort_values("uid").to_dict("records"):
            item = f"{path.stem}/{row['uid']}"
            for text in (row["question"], *row["answers"]):
                texts.setdefault(normalise(text), item)
            if row["picture"] is not None:
                images.setdefault(hashlib.sha256(row["picture"]).hexdigest(), (item, row["picture"]))
    return References(texts=texts, images=dict(images.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Overlap of one caption with all benchmark texts."""

    share: float  # of the caption's distinct n-grams, those in any benchmark text
    exact: bool  # whether a benchmark text equals the caption after `normalise`
    item: str | None  # with the most shared n-grams; None if none is shared


class NgramIndex:
    """Index of benchmark texts (the item of each) by word n-gram, without case and punctuation.

    A text with fewer than n words is one n-gram of all its words; a short caption matches only a text of the same words.
    """

    def __init__(self, texts: Mapping[str, str], n: int) -> None:
        self._n = n
        self._exact = {normalise(text): item for text, item in texts.items()}
        self._items: dict[str, list[str]] = {}  # by n-gram
        for text, item in texts.items():
            for gram in ngrams(text, n):
                self._items.setdefault(gram, []).append(item)

    def compare(self, caption: str) -> Overlap:
        """The caption's overlap; `item` is an exact match if there is one, and of equals the first by name."""
        grams = ngrams(caption, self._n)
        shared = [gram for gram in grams if gram in self._items]
        exact = self._exact.get(normalise(caption))
        counts = Counter(item for gram in shared for item in set(self._items[gram]))
        item = exact or min(counts, key=lambda item: (-counts[item], item), default=None)
        return Overlap(share=len(shared) / len(grams) if grams else 0.0, exact=exact is not None, item=item)


def ngrams(text: str, n: int) -> list[str]:
    """Distinct word n-grams of a text in order; one of all its words if they are fewer than n."""
    words = words_of(text)
    ends = range(min(n, len(words)), len(words) + 1) if words else ()
    return list(dict.fromkeys(" ".join(words[max(0, end - n) : end]) for end in ends))


def words_of(text: str) -> list[str]:
    """Words of a text, case-folded."""
    return re.findall(r"\w+", normalise(text).casefold())
