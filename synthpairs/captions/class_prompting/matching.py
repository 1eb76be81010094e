"""Concept matching, and balancing of captions by concept after MetaCLIP and SynthCLIP."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.core.schema import digest
from synthpairs.emoji.inflection import inflector

Gram = tuple[str, ...]
_WORD = re.compile(r"[^\W_]+")


class Matcher:
    """Matches concept names in texts: whole words, in singular or plural, ignoring case and hyphens.

    The name of one concept that is also a further form of others matches only the former ("shell" is also a form of
    "plate"). A name within a longer name matches too, as in MetaCLIP.
    """

    def __init__(self, concepts: Sequence[Concept]) -> None:
        names, others = defaultdict(list), defaultdict(list)
        self._own: dict[str, frozenset[Gram]] = {}
        for concept in concepts:
            self._own[concept.name] = frozenset(map(_gram, concept.forms))
            names[_gram(concept.name)].append(concept.name)
            for gram in self._own[concept.name]:
                others[gram].append(concept.name)
        self._named: dict[Gram, list[str]] = {**others, **names}
        self._lengths: dict[str, list[int]] = defaultdict(list)  # of the grams by first word
        for first, length in sorted({(gram[0], len(gram)) for gram in self._named if gram}):
            self._lengths[first].append(length)

    def mentions(self, text: str, name: str) -> bool:
        """Whether the text contains any form of this concept."""
        return not self._own[name].isdisjoint(self._grams(text))

    def matched(self, text: str, name: str) -> list[str]:
        """All concepts that a text about the concept `name` names, sorted; `name` is matched in any of its forms."""
        grams = self._grams(text)
        concepts = {other for gram in grams for other in self._named[gram]}
        return sorted(concepts | ({name} if not self._own[name].isdisjoint(grams) else set()))

    def _grams(self, text: str) -> set[Gram]:
        words = _gram(text)
        grams = {
            words[start : start + length] for start, word in enumerate(words) for length in self._lengths.get(word, ())
        }
        return grams & self._named.keys()


def _gram(text: str) -> Gram:
    return tuple(_singular(word) for word in _WORD.findall(text.lower()))


@cache
def _singular(word: str) -> str:
    """Singular of an apparent plural. Names and texts are treated alike, so errors cancel out."""
    if len(word) <= 3 or word.endswith(("us", "ss")) or not word.isalpha():
        return word
    return str(inflector().singular_noun(word) or word)


def balanced(matched: Mapping[str, Sequence[str]], limit: int, seed: int) -> set[str]:
    """The uids to keep of {uid: concepts that the caption names}.

    Each concept keeps a caption with probability limit / max(count, limit), where count is its number of captions; one
    concept is enough. Draws are hashes of seed, uid and concept, so they do not depend on the order of captions.
    """
    counts = Counter(concept for concepts in matched.values() for concept in concepts)
    return {
        uid
        for uid, concepts in matched.items()
        if any(_uniform(seed, uid, concept) * max(counts[concept], limit) < limit for concept in concepts)
    }


def _uniform(seed: int, uid: str, concept: str) -> float:
    """Pseudo-random number in [0, 1)."""
    return int(digest("balance", seed, uid, concept)[:13], 16) / 16**13
