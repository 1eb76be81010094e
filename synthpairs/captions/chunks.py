"""Chunks of captions on disk, so that memory use does not depend on the number of captions."""

import heapq
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

from synthpairs.captions.record import Caption

ROWS, BYTES = 2**15, 2**26  # maximum captions of a chunk and, approximately, bytes of their images
_BATCH_ROWS, _BATCH_BYTES = 256, 2**18  # the same of a batch that is read back at once


def chunks(captions: Iterable[Caption]) -> Iterator[list[Caption]]:
    """The captions in lists, in order."""
    yield from _split(captions, ROWS, BYTES)


class Chunks:
    """Chunks in files of a folder, read back in the order of writing, or merged by uid.

    The files are pickles, which take at most half of Parquet's time; only the process that wrote them reads them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, captions: list[Caption]) -> None:
        """Append a chunk."""
        with self._path(self.count).open("wb") as file:
            for batch in _split(captions, _BATCH_ROWS, _BATCH_BYTES):
                pickle.dump(batch, file, protocol=5)
        self.count += 1

    def read(self) -> Iterator[list[Caption]]:
        """All chunks, one at a time; each file is removed after use."""
        for index in range(self.count):
            yield list(self._captions(index))
            self._path(index).unlink()

    def merged(self) -> Iterator[tuple[str, Caption]]:
        """All (uid, caption), ordered by uid, of chunks that are ordered by uid themselves; the merge is stable."""
        streams = [((caption.uid, caption) for caption in self._captions(index)) for index in range(self.count)]
        yield from heapq.merge(*streams, key=lambda pair: pair[0])

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.pickle"

    def _captions(self, index: int) -> Iterator[Caption]:
        with self._path(index).open("rb") as file:
            while file.peek(1):
                yield from pickle.load(file)


def _split(captions: Iterable[Caption], max_rows: int, max_bytes: int) -> Iterator[list[Caption]]:
    batch: list[Caption] = []
    size = 0
    for caption in captions:
        batch.append(caption)
        size += len(caption.original or b"")
        if len(batch) >= max_rows or size >= max_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
