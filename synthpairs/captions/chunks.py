"""Captions in chunks on the disk: a run holds one chunk at a time, however many captions there are."""

import heapq
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

from synthpairs.captions.record import Caption

ROWS, BYTES = 2**15, 2**26  # captions of a chunk at most, and bytes of their pictures, give or take one
_BATCH_ROWS, _BATCH_BYTES = 256, 2**18  # as above, of what is read back at once


def chunks(captions: Iterable[Caption]) -> Iterator[list[Caption]]:
    """The captions in lists, in order."""
    yield from _cut(captions, ROWS, BYTES)


class Chunks:
    """Chunks in files of a folder, read back in the order in which they were written, or all merged by uid.

    The files are this run's own and are never read by another, so they are pickles: that takes half of Parquet's time or less.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, captions: list[Caption]) -> None:
        """One more chunk."""
        with (self.folder / f"{self.count:06d}.pickle").open("wb") as file:
            for batch in _cut(captions, _BATCH_ROWS, _BATCH_BYTES):
                pickle.dump(batch, file, protocol=5)
        self.count += 1

    def read(self) -> Iterator[list[Caption]]:
        """All chunks, one at a time; their files are removed after that."""
        for number in range(self.count):
            yield list(self._chunk(number))
            (self.folder / f"{number:06d}.pickle").unlink()

    def merged(self) -> Iterator[tuple[str, Caption]]:
        """All captions with their uid and in its order, when every chunk was written in that order; equal ones as written."""
        streams = [((caption.uid, caption) for caption in self._chunk(number)) for number in range(self.count)]
        yield from heapq.merge(*streams, key=lambda pair: pair[0])

    def _chunk(self, number: int) -> Iterator[Caption]:
        with (self.folder / f"{number:06d}.pickle").open("rb") as file:
            while file.peek(1):
                yield from pickle.load(file)


def _cut(captions: Iterable[Caption], rows: int, size: int) -> Iterator[list[Caption]]:
    piece: list[Caption] = []
    held = 0
    for caption in captions:
        piece.append(caption)
        held += len(caption.original or b"")
        if len(piece) >= rows or held >= size:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece
