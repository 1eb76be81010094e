"""Tar shards as img2dataset writes them: samples of KEY.txt, KEY.json and KEY.jpg, read in memory, never unpacked."""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synthpairs.captions.params import Source
from synthpairs.captions.readers.pictures import LARGEST
from synthpairs.captions.readers.rows import Fields, Row, describe, opened

_PICTURES = ("jpg", "jpeg", "png", "webp")
_NAME = re.compile(r"((?:.*/)?[^/.]*)\.?(.*)", re.DOTALL)  # as webdataset: up to the first dot of the file's own name


@dataclass(slots=True)
class _Sample:
    """Members that stand together under one name; those that nobody asks for are empty."""

    name: str = ""
    members: dict[str, bytes] = field(default_factory=dict)
    fault: str | None = None


def read_webdataset(path: Path, source: Source, key: str) -> Iterator[Row]:
    """The samples of a tar: the caption is KEY.txt, or else `caption` in KEY.json, or the field that params.yaml names.

    The picture is the member with the ending `columns.image`, or with any of the usual ones. Only regular files are
    read; links, devices and names that lead out of the archive are rows at fault. A cut tar is a tarfile.ReadError or
    EOFError after all that is whole.
    """
    pictures = _PICTURES if source.columns.image is None else (source.columns.image,)
    fields = Fields(path, key, source.columns, source.columns.text or "caption")
    fields.missing -= {"image"} if source.columns.text else {"image", "text"}
    sample = _Sample()
    with opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        while True:
            try:
                entry = _next(tar)
            except (tarfile.TarError, EOFError):  # between two members: the sample so far is whole
                yield from _rows(sample, path, source, fields, pictures)
                raise
            if entry is None:
                break
            if refusal := _refusal(entry):
                yield Row(f"{path} member {entry.name!r}", entry.name, fault=refusal)
                continue
            match = _NAME.fullmatch(entry.name)
            if entry.isdir() or not match:
                continue
            if match[1] != sample.name or match[2] in sample.members:
                yield from _rows(sample, path, source, fields, pictures)
                sample = _Sample(match[1])
            if match[2] in ("txt", "json", *pictures):
                sample.members[match[2]] = _payload(tar, entry, sample)
            else:
                sample.members[match[2]] = b""
    yield from _rows(sample, path, source, fields, pictures)
    fields.check()


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next entry, None at the mark that ends the archive; tarfile.ReadError where there should be either."""
    entry = tar.next()
    tar.members = []  # type: ignore[attr-defined]  # tarfile keeps every entry that it has seen
    if entry is None:
        assert tar.fileobj
        tar.fileobj.seek(tar.offset)  # tarfile takes a broken header for the end: only the mark tells
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end of archive")
    return entry


def _refusal(entry: tarfile.TarInfo) -> str | None:
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        return "its name leads out of the archive"
    return None if entry.isreg() or entry.isdir() else "a link or device, not a regular file"


def _payload(tar: tarfile.TarFile, entry: tarfile.TarInfo, sample: _Sample) -> bytes:
    if entry.size > LARGEST:
        sample.fault = f"{entry.name}: {entry.size} bytes, {LARGEST} is the limit"
        return b""
    file = tar.extractfile(entry)
    assert file  # a regular file has one
    return file.read()


def _rows(sample: _Sample, path: Path, source: Source, fields: Fields, pictures: tuple[str, ...]) -> Iterator[Row]:
    """The sample's row; none before the first."""
    members, where = sample.members, f"{path} sample {sample.name}"
    if not members:
        return
    plain = _decoded(members["txt"]).rstrip("\r\n") if "txt" in members and source.columns.text is None else None
    record = {}
    try:
        if "json" in members and (plain is None or source.columns.source is not None):
            record = json.loads(_decoded(members["json"]))
        elif plain is None:
            raise ValueError(f"no caption in {', '.join(sorted(members))}")
        if plain is not None and isinstance(record, dict):
            record["caption"] = plain
        row = fields.row(record, where)
    except (ValueError, RecursionError) as error:
        row = Row(where, plain, fault=describe(error))
    row.fault = sample.fault or row.fault
    row.image = next((members[ending] for ending in pictures if ending in members), None)
    yield row


def _decoded(payload: bytes) -> str:
    return payload.decode("utf-8-sig", "replace")
