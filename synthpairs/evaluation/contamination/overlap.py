"""Benchmark texts and images, and the n-gram overlap of captions with the texts, as in GPT-3's paper (2005.14165, C)."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthpairs.core.schema import BENCHMARK, normalise
from synthpairs.core.storage import read_table

INSTRUCTIONS = "instructions"  # stands beside the benchmarks, but is trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """An item is TASK/UID; what several items have counts for the first of them."""

    texts: dict[str, str]  # questions, answers and references, normalised, and their item
    pictures: dict[str, bytes]  # encoded pictures by item


def read_references(tasks: Path) -> References:
    """All benchmark tables in the directory; FileNotFoundError without one, ValueError for a table that is none."""
    texts: dict[str, str] = {}
    pictures: dict[str, tuple[str, bytes]] = {}
    tables = sorted(path for path in tasks.glob("*.parquet") if path.stem != INSTRUCTIONS)
    if not tables:
        raise FileNotFoundError(f"{tasks} holds no benchmark: run `dvc repro tasks` first")
    for path in tables:
        table = read_table(path, "dvc repro tasks")
        if missing := [name for name in BENCHMARK.names if name not in table]:
            raise ValueError(f"{path}: column {missing[0]} is missing; run `dvc repro tasks` again")
        for row in table.sort_values("uid").to_dict("records"):
            item = f"{path.stem}/{row['uid']}"
            for text in (row["question"], *row["answers"]):
                texts.setdefault(normalise(text), item)
            if row["picture"] is not None:
                pictures.setdefault(hashlib.sha256(row["picture"]).hexdigest(), (item, row["picture"]))
    return References(texts=texts, pictures=dict(pictures.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """One caption beside all benchmark texts."""

    share: float  # of its different n-grams that any of them has
    exact: bool  # whether one of them is the caption, but for space and Unicode forms
    item: str | None  # that shares most; None without a shared n-gram


class NgramIndex:
    """Benchmark texts, indexed by their word n-grams.

    A text with fewer than n words counts as one n-gram of all its words, so a short caption matches only a text that says the
    same words and no more. Case and punctuation do not count.
    """

    def __init__(self, texts: Mapping[str, str], n: int) -> None:
        """`texts`: the benchmark item of each text."""
        self._n = n
        self._exact = {normalise(text): item for text, item in texts.items()}
        self._items: dict[str, list[str]] = {}  # that have an n-gram
        for text, item in texts.items():
            for gram in ngrams(text, n):
                self._items.setdefault(gram, []).append(item)

    def compare(self, caption: str) -> Overlap:
        """The caption's overlap; of items that share equally much the first by name counts, an exact one before all."""
        grams = ngrams(caption, self._n)
        shared = [gram for gram in grams if gram in self._items]
        exact = self._exact.get(normalise(caption))
        counts = Counter(item for gram in shared for item in set(self._items[gram]))
        item = exact or min(counts, key=lambda item: (-counts[item], item), default=None)
        return Overlap(share=len(shared) / len(grams) if grams else 0.0, exact=exact is not None, item=item)


def ngrams(text: str, n: int) -> list[str]:
    """The different word n-grams of a text in order; all its words where there are fewer than n."""
    words = words_of(text)
    ends = range(min(n, len(words)), len(words) + 1) if words else ()
    return list(dict.fromkeys(" ".join(words[max(0, end - n) : end]) for end in ends))


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"\w+", normalise(text).casefold())
