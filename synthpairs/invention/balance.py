"""Balancing after MetaCLIP and SynthCLIP: of what everyone writes about, some goes; of the rare, everything stays."""

from collections import Counter
from collections.abc import Mapping, Sequence

from synthpairs.schema import digest


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
