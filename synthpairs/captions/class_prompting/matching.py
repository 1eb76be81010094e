"""Which concepts captions name, and balancing by them after MetaCLIP and SynthCLIP: of what many captions name, some go."""

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
    """Finds the names of concepts in texts: whole words, in singular or plural, whatever the case and the hyphens.

    What names one concept and is a further form of others means the one that it names ("shell" is also a form of
    "plate"). A name within a longer name counts too, as in MetaCLIP.
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
        self._lengths: dict[str, list[int]] = defaultdict(list)  # of the grams that start with a word
        for first, length in sorted({(gram[0], len(gram)) for gram in self._named if gram}):
            self._lengths[first].append(length)

    def mentions(self, text: str, name: str) -> bool:
        """Whether a text names this concept in any of its forms."""
        return not self._own[name].isdisjoint(self._found(text))

    def matched(self, text: str, name: str) -> list[str]:
        """All concepts that a text names, sorted; the one that it was written about in any of its forms."""
        found = self._found(text)
        concepts = {other for gram in found for other in self._named[gram]}
        return sorted(concepts | ({name} if not self._own[name].isdisjoint(found) else set()))

    def _found(self, text: str) -> set[Gram]:
        words = _gram(text)
        grams = set()
        for place, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                grams.add(words[place : place + length])
        return grams & self._named.keys()


def _gram(text: str) -> Gram:
    return tuple(_singular(word) for word in _WORD.findall(text.lower()))


@cache
def _singular(word: str) -> str:
    """Singular of what looks like a plural. Names and texts are treated alike, so a wrong one does no harm."""
    if len(word) <= 3 or word.endswith(("us", "ss")) or not word.isalpha():
        return word
    return str(inflector().singular_noun(word) or word)


def balanced(matched: Mapping[str, Sequence[str]], limit: int, seed: int) -> set[str]:
    """The uids to keep of captions {uid: concepts that it names}.

    Each concept lets a caption stay with probability limit / max(count, limit), where count is the number of captions
    that name it; one is enough. The lots are hashes of seed, uid and concept, so the order of captions is nothing.
    """
    counts = Counter(concept for concepts in matched.values() for concept in concepts)
    return {
        uid
        for uid, concepts in matched.items()
        if any(_lot(seed, uid, concept) * max(counts[concept], limit) < limit for concept in concepts)
    }


def _lot(seed: int, uid: str, concept: str) -> float:
    """Uniform in [0, 1)."""
    return int(digest("balance", seed, uid, concept)[:13], 16) / 16**13
