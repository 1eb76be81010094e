"""WebDataset reader: tar shards as img2dataset writes them, with samples of KEY.txt, KEY.json and KEY.jpg."""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synthpairs.captions.params import Source
from synthpairs.captions.readers.images import MAX_BYTES
from synthpairs.captions.readers.rows import Fields, Row, error_line, open_file

_IMAGES = ("jpg", "jpeg", "png", "webp")
_NAME = re.compile(r"((?:.*/)?[^/.]*)\.?(.*)", re.DOTALL)  # key and extension, split at the base name's first dot


@dataclass(slots=True)
class _Sample:
    """Consecutive members with the same key; members that are not read are empty."""

    key: str = ""
    members: dict[str, bytes] = field(default_factory=dict)  # by extension
    fault: str | None = None


def read_webdataset(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Samples of a tar: the caption is KEY.txt, else `caption` in KEY.json, or the field `columns.text` there.

    The image is the member with the extension `columns.image`, or with one of the usual extensions. Links, devices and
    names outside the archive are faulty rows. A truncated tar raises tarfile.ReadError or EOFError after its complete samples.
    """
    extensions = _IMAGES if source.columns.image is None else (source.columns.image,)
    fields = Fields(path, key, source.columns, source.columns.text or "caption")
    fields.missing -= {"image"} if source.columns.text else {"image", "text"}
    sample = _Sample()
    with open_file(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        while True:
            try:
                entry = _next(tar)
            except (tarfile.TarError, EOFError):  # between two members, so the sample is complete
                yield from _rows(sample, path, source, fields, extensions)
                raise
            if entry is None:
                break
            if refusal := _refusal(entry):
                yield Row(f"{path} member {entry.name!r}", entry.name, fault=refusal)
                continue
            match = _NAME.fullmatch(entry.name)
            if entry.isdir() or not match:
                continue
            if match[1] != sample.key or match[2] in sample.members:
                yield from _rows(sample, path, source, fields, extensions)
                sample = _Sample(match[1])
            needed = match[2] in ("txt", "json", *extensions)
            sample.members[match[2]] = _payload(tar, entry, sample) if needed else b""
    yield from _rows(sample, path, source, fields, extensions)
    fields.check()


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next entry, None at the end-of-archive block; tarfile.ReadError if there is neither."""
    entry = tar.next()
    tar.members = []  # type: ignore[attr-defined]  # else tarfile keeps every entry
    if entry is None:
        assert tar.fileobj
        tar.fileobj.seek(tar.offset)  # tarfile treats a broken header as the end, so check the block
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end of archive")
    return entry


def _refusal(entry: tarfile.TarInfo) -> str | None:
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        return "its name leads out of the archive"
    return None if entry.isreg() or entry.isdir() else "a link or device, not a regular file"


def _payload(tar: tarfile.TarFile, entry: tarfile.TarInfo, sample: _Sample) -> bytes:
    if entry.size > MAX_BYTES:
        sample.fault = f"{entry.name}: {entry.size} bytes, {MAX_BYTES} is the limit"
        return b""
    file = tar.extractfile(entry)
    assert file  # not None for a regular file
    return file.read()


def _rows(sample: _Sample, path: Path, source: Source, fields: Fields, extensions: tuple[str, ...]) -> Iterator[Row]:
    """The row of a sample, none for an empty one."""
    members, where = sample.members, f"{path} sample {sample.key}"
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
        row = Row(where, plain, fault=error_line(error))
    row.fault = sample.fault or row.fault
    row.image = next((members[extension] for extension in extensions if extension in members), None)
    yield row


def _decoded(payload: bytes) -> str:
    return payload.decode("utf-8-sig", "replace")
