"""Values that a model gives to captions with their original images, cached so that a failed run does not ask again."""

import hashlib
from collections.abc import Callable, Sequence

from synthpairs.captions.record import Caption
from synthpairs.core.schema import normalise
from synthpairs.core.storage import WorkStore
from synthpairs.runtime.cached_map import cached_map


def pair_values(
    store: WorkStore,
    name: str,
    model: str,
    captions: Sequence[Caption],
    batch: int,
    measure: Callable[[Sequence[str], Sequence[bytes]], list[float]],
) -> list[tuple[Caption, float]]:
    """(caption, value) of the captions that have an original image.

    `measure` gets at most `batch` texts and encoded images at once. The cache key is the contents of both and `model`, a hash
    of everything else that a value depends on.
    """
    pairs = [(caption, caption.original) for caption in captions if caption.original is not None]
    hashes = [hashlib.sha256(image).hexdigest() for _, image in pairs]
    images = dict(zip(hashes, (image for _, image in pairs), strict=True))
    items = [(model, normalise(caption.text), key) for (caption, _), key in zip(pairs, hashes, strict=True)]

    def values(part: Sequence[tuple[str, str, str]]) -> list[float]:
        batches = (part[start : start + batch] for start in range(0, len(part), batch))
        return [
            value
            for rows in batches
            for value in measure([text for _, text, _ in rows], [images[key] for *_, key in rows])
        ]

    return [(caption, value) for (caption, _), value in zip(pairs, cached_map(store, name, items, values), strict=True)]
