"""WebDataset reader: tar shards as img2dataset writes them, with samples of KEY.txt, KEY.json and KEY.jpg."""

import re
import tarfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import Fields, Row, open_file
from synthpairs.core.errors import error_line
from synthpairs.core.tar import MAX_BYTES, read_member, tar_members
from synthpairs.core.untrusted_json import loads

_IMAGES = ("jpg", "jpeg", "png", "webp")
_NAME = re.compile(r"((?:.*/)?[^/.]*)\.?(.*)", re.DOTALL)  # key and extension, split at the base name's first dot
_HELD = 2**28  # bytes of samples that wait for members further on
_COST = 1024  # bytes of a sample beside its members
_SHOWN = 5  # extensions of a sample without a caption
_REMEMBERED = 2**16  # keys of samples that waited in vain


@dataclass(slots=True)
class _Sample:
    """Members with the same key."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)  # by extension; those that are read
    names: list[str] = field(default_factory=list)  # extensions of the first members
    count: int = 0
    fault: str | None = None


class _Window:
    """Samples of a tar in the order of their first members; in one that is not sorted by key, they wait for the others."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._latest: dict[str, _Sample] = {}
        self._incomplete: set[str] = set()  # keys of samples for which there was no memory
        self._size = 0

    def sample(self, key: str, extension: str) -> _Sample:
        """The sample of a member, a new one if it has such a member already; tarfile.ReadError if there was no memory for it."""
        if key in self._incomplete:
            raise tarfile.ReadError(
                f"{key}.{extension} is too far from the other files of its sample: pack the archive again, sorted by name"
            )
        sample = self._latest.get(key)
        if sample is None or extension in sample.members:
            sample = self._latest[key] = _Sample(key)
            self._samples.append(sample)
            self._size += _COST + len(key)
        sample.count += 1
        if sample.count <= _SHOWN:
            sample.names.append(extension[:100])
        return sample

    def add(self, sample: _Sample, extension: str, payload: bytes) -> None:
        """Add a member that is read."""
        sample.members[extension] = payload
        self._size += len(payload)

    def leave(self, all_of_them: bool = False) -> Iterator[_Sample]:
        """Take out the first samples, up to one that is not whole and fits into memory."""
        while self._samples:
            sample = self._samples[0]
            whole = {"txt", "json"} < sample.members.keys()  # with an image, too; there is no more that is read
            if not all_of_them and (len(self._samples) == 1 or not (whole or self._size > _HELD)):
                return
            self._samples.popleft()
            self._size -= _COST + len(sample.key) + sum(map(len, sample.members.values()))
            if self._latest[sample.key] is sample:
                del self._latest[sample.key]
            if not whole and len(self._incomplete) < _REMEMBERED:
                self._incomplete.add(sample.key)
            yield sample


def read_webdataset(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Samples of a tar: the caption is KEY.txt, else `caption` in KEY.json, or the field `columns.text` there.

    The image is the member with the extension `columns.image`, or with one of the usual extensions; case does not matter.
    Links, devices and names outside the archive are faulty rows, hidden files are none. A broken tar raises
    tarfile.ReadError after the samples before.
    """
    extensions = _IMAGES if source.columns.image is None else (source.columns.image.lower(),)
    fields = Fields(path, key, source.columns, source.columns.text or "caption")
    fields.missing -= {"image"} if source.columns.text else {"image", "text"}
    window = _Window()

    def rows(all_of_them: bool = False) -> Iterator[Row]:
        return (_row(sample, path, source, fields, extensions) for sample in window.leave(all_of_them))

    with open_file(path) as file:
        try:
            for entry in tar_members(file):
                if entry is None:
                    yield from rows(all_of_them=True)
                    window = _Window()
                elif refusal := _refusal(entry):
                    yield Row(f"{path} member {entry.name!r}", entry.name, fault=refusal)
                elif entry.isreg() and not entry.name.rpartition("/")[2].startswith("."):  # macOS packs such files
                    key_and_extension = _NAME.fullmatch(entry.name)
                    assert key_and_extension
                    name, extension = key_and_extension[1], key_and_extension[2].lower()
                    sample = window.sample(name, extension)
                    if extension in ("txt", "json", *extensions):
                        window.add(sample, extension, _payload(file, entry, sample))
                    yield from rows()
        except tarfile.TarError:
            yield from rows(all_of_them=True)
            raise
    fields.check()


def _refusal(entry: tarfile.TarInfo) -> str | None:
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        return "its name leads out of the archive"
    return None if entry.isreg() or entry.isdir() else "a link or device, not a regular file"


def _payload(file: IO[bytes], entry: tarfile.TarInfo, sample: _Sample) -> bytes:
    if entry.size > MAX_BYTES:
        sample.fault = f"{entry.name}: {entry.size} bytes, {MAX_BYTES} is the limit"
        return b""
    try:
        return read_member(file, entry)
    except tarfile.TarError as error:
        sample.fault = error_line(error)
        raise


def _row(sample: _Sample, path: Path, source: Source, fields: Fields, extensions: tuple[str, ...]) -> Row:
    members, where = sample.members, f"{path} sample {sample.key}"
    plain = _decoded(members["txt"]).rstrip("\r\n") if "txt" in members and source.columns.text is None else None
    record = {}
    try:
        if "json" in members and (plain is None or source.columns.source is not None):
            record = loads(_decoded(members["json"]))
        elif plain is None:
            raise ValueError(_no_caption(sample, extensions))
        if plain is not None and isinstance(record, dict):
            record["caption"] = plain
        row = fields.row(record, where)
    except ValueError as error:
        row = Row(where, plain, fault=error_line(error))
    row.fault = sample.fault or row.fault
    row.image = next((members[extension] for extension in extensions if extension in members), None)
    return row


def _no_caption(sample: _Sample, extensions: tuple[str, ...]) -> str:
    more = sample.count - len(sample.names)
    text = f"no caption in {', '.join(sorted(sample.names))}" + (f" and {more} more" if more else "")
    if any(name.endswith(tuple(f".{ending}" for ending in ("txt", "json", *extensions))) for name in sample.names):
        return f"a key ends at its name's first dot, so keys must hold no dots: {text}"
    return text


def _decoded(payload: bytes) -> str:
    return payload.decode("utf-8-sig", "replace")
