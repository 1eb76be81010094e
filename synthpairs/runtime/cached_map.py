"""Long work in pieces that a killed run need not do again."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore
from synthpairs.runtime.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
PIECE = 256  # items: some ten seconds of a small language model's work on two cores


def in_pieces(
    store: WorkStore, name: str, items: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]
) -> list[Result]:
    """`work` over all items (anything that JSON can say), in order; finished pieces come from the store.

    A piece is stored under its content, so that after a kill and a change of mind what still applies is still used.
    """
    results: list[Any] = []
    with progress(name, len(items), "captions") as advance:
        for first in range(0, len(items), PIECE):
            piece = items[first : first + PIECE]
            file = f"{name}-{digest(piece)}.json"
            stored = store.get(file)
            if stored is None:
                stored = json.dumps(work(piece)).encode()
                store.put(file, stored)
            results.extend(json.loads(stored))
            assert len(results) == first + len(piece)
            advance(len(piece))
    return results
