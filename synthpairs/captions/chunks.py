"""Chunks of captions on disk, so that memory use does not depend on the number of captions."""

import heapq
import pickle
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from synthpairs.captions.record import Caption

ROWS, BYTES = 2**15, 2**26  # maximum captions of a chunk and, approximately, bytes of their images
_BATCH_ROWS, _BATCH_BYTES = 256, 2**18  # the same of a batch that is read back at once
FAN_IN = 64  # files that are merged, and so open, at a time; systems allow as few as 256


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
        _write(self._path(self.count), captions)
        self.count += 1

    def read(self) -> Iterator[list[Caption]]:
        """All chunks, one at a time; each file is removed after use."""
        for index in range(self.count):
            yield list(_read(self._path(index)))
            self._path(index).unlink()

    def merged(self) -> Iterator[tuple[str, Caption]]:
        """All (uid, caption), ordered by uid, of chunks that are ordered by uid themselves; the merge is stable."""
        paths = [self._path(index) for index in range(self.count)]
        while len(paths) > FAN_IN:
            paths = [_merge_files(paths[start : start + FAN_IN]) for start in range(0, len(paths), FAN_IN)]
        yield from _merged(paths)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.pickle"


def _write(path: Path, captions: Iterable[Caption]) -> None:
    with path.open("wb") as file:
        for batch in _split(captions, _BATCH_ROWS, _BATCH_BYTES):
            pickle.dump(batch, file, protocol=5)


def _read(path: Path) -> Iterator[Caption]:
    with path.open("rb") as file:
        while file.peek(1):
            yield from pickle.load(file)


def _merged(paths: Iterable[Path]) -> Iterator[tuple[str, Caption]]:
    streams = [((caption.uid, caption) for caption in _read(path)) for path in paths]
    yield from heapq.merge(*streams, key=lambda pair: pair[0])


def _merge_files(paths: Sequence[Path]) -> Path:
    """A file with the captions of all these, which are removed."""
    merged = paths[0].with_suffix(f"{paths[0].suffix}.merged")
    _write(merged, (caption for _, caption in _merged(paths)))
    for path in paths:
        path.unlink()
    return merged


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
