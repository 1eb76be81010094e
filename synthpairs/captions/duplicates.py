"""Captions that say what an earlier one says: exact duplicates by their text, near ones by MinHash and banding.

Comparing every caption with every other takes hours for a million. A caption's MinHash signature is cut into bands,
and only captions of the same concept that share a whole band are compared, by the exact Jaccard similarity of their
n-grams.
Rejected captions leave no trace in the bands, so crowds of duplicates cost no more than a single one.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption
from synthpairs.schema import normalise


def drop_exact(captions: Sequence[Caption]) -> None:
    """Reject what repeats the normalised text of an earlier caption, whatever its source; case does not matter."""
    seen: dict[str, Caption] = {}
    for caption in captions:
        first = seen.setdefault(_comparable(caption), caption)
        if first is not caption:
            caption.reject("exact_duplicate", f"of {first.uid} ({first.source})")


def drop_near(captions: Sequence[Caption], limits: Limits) -> None:
    """Reject what is at least `near_jaccard` similar to an earlier caption about the same concept."""
    keys = _hash_keys(limits.near_bands * limits.near_rows)
    bands: defaultdict[tuple[str, int, bytes], list[int]] = defaultdict(list)
    grams: list[frozenset[int]] = []
    for number, caption in enumerate(captions):
        grams.append(shingles(_comparable(caption), limits.near_ngram))
        parts = signature(grams[number], keys).reshape(limits.near_bands, limits.near_rows)
        places = [(caption.concept, band, part.tobytes()) for band, part in enumerate(parts)]
        for other in sorted({other for place in places for other in bands.get(place, ())}):
            similarity = len(grams[number] & grams[other]) / len(grams[number] | grams[other])
            if similarity >= limits.near_jaccard:
                caption.reject("near_duplicate", f"{similarity:.3f} of {captions[other].uid}: {captions[other].text}")
                break
        else:
            for place in places:
                bands[place].append(number)


def shingles(text: str, n: int) -> frozenset[int]:
    """64-bit hashes of the text's overlapping character n-grams, equal in every process; a short text is one n-gram."""
    parts = {text[start : start + n] for start in range(max(1, len(text) - n + 1))}
    return frozenset(int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "big") for part in parts)


def signature(grams: frozenset[int], keys: np.ndarray) -> np.ndarray:
    """The least of each key's hash over all n-grams: two sets agree in each place with their Jaccard similarity."""
    mixed = np.fromiter(grams, dtype=np.uint64, count=len(grams))[None] ^ keys[:, None]
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray((mixed ^ (mixed >> np.uint64(33))).min(axis=1))


def _hash_keys(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(2**64, size=count, dtype=np.uint64)


def _comparable(caption: Caption) -> str:
    return normalise(caption.text).casefold()
