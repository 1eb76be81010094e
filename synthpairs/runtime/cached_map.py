"""Mapping over items in batches whose results are cached, so that a killed run resumes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore
from synthpairs.runtime.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
BATCH = 256  # items: some ten seconds of a small language model's work on two cores


def cached_map(
    store: WorkStore, name: str, items: Sequence[Item], function: Callable[[Sequence[Item]], list[Result]]
) -> list[Result]:
    """Results of `function` for all items, in order; items and results must be JSON values.

    The cache key is the content of a batch, so batches that are unchanged are reused after other items have changed.
    """
    results: list[Any] = []
    with progress(name, len(items), "captions") as advance:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            file = f"{name}-{digest(batch)}.json"
            done = store.get_json(file, lambda value, size: len(value) == size, len(batch))
            if done is None:
                done = store.put_json(file, function(batch))
            results.extend(done)
            assert len(results) == start + len(batch)
            advance(len(batch))
    return results
