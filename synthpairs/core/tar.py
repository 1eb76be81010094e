"""Tar archives from anywhere, read in bounded memory.

tarfile parses the headers, and what they announce is checked here: its own reader follows a negative size for ever, unpacks a
long name of any length, and takes time quadratic in the length of a PAX header.
"""

import re
import tarfile
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from tarfile import BLOCKSIZE, ReadError
from typing import IO

MAX_BYTES = 2**26  # of a member that is read, and of any encoded picture
_MAX_SIZE = 2**40  # of a member that is skipped
_MAX_HEADER = 2**20  # of an extended header
_MAX_NAME = 4096  # PATH_MAX of Linux
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]{1,512})=")  # "LENGTH KEYWORD=VALUE\n"; bounds keep it linear


def tar_members(file: IO[bytes]) -> Iterator[tarfile.TarInfo | None]:
    """Members of the tars in a stream (`cat a.tar b.tar` makes two), with None at the end of each tar.

    `read_member` reads the bytes of the present one. tarfile.ReadError where the stream stops to be a whole tar.
    """
    ended, name, size = False, None, None  # name and size are those that an extended header gives the next member
    while True:
        block = _read(file, BLOCKSIZE)
        if not block.strip(b"\0"):
            if not ended and len(block) == BLOCKSIZE:
                yield None
            elif not ended:
                raise ReadError("no end of archive")
            elif len(block) < BLOCKSIZE:
                return
            ended, name, size = True, None, None
            continue
        ended = False
        entry = _header(block)
        start, length = file.tell(), _checked_size(entry.size)
        if entry.type == tarfile.GNUTYPE_LONGNAME:
            name = _checked_name(_extended(file, length).partition(b"\0")[0])
        elif entry.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            fields = _pax_fields(_extended(file, length))
            name = _checked_name(fields["path"]) if "path" in fields else name
            size = _checked_size(int(fields["size"])) if "size" in fields else size
        elif entry.type not in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):  # they say nothing that is used
            entry.name = entry.name if name is None else name
            length = length if size is None else size
            if entry.type == tarfile.GNUTYPE_SPARSE:
                raise ReadError(f"{entry.name} is a sparse file: pack the archive without --sparse")
            if entry.type in tarfile.SUPPORTED_TYPES and not entry.isreg():
                length = 0  # folders, links and devices have no bytes
            entry.size, entry.offset_data = length, start
            name = size = None
            yield entry
        end = start + -(-length // BLOCKSIZE) * BLOCKSIZE
        if file.tell() < end and not _read(file, 1, end - 1):
            raise ReadError("unexpected end of data")


def read_member(file: IO[bytes], entry: tarfile.TarInfo) -> bytes:
    """Bytes of the member that `tar_members` has yielded last; tarfile.ReadError if they are too many or not all there."""
    if entry.size > MAX_BYTES:
        raise ReadError(f"{entry.name}: {entry.size} bytes, {MAX_BYTES} is the limit")
    payload = _read(file, entry.size)
    if len(payload) < entry.size:
        raise ReadError(f"{entry.name}: unexpected end of data")
    return payload


def _read(file: IO[bytes], count: int, start: int | None = None) -> bytes:
    try:
        if start is not None:
            file.seek(start)
        return file.read(count)
    except (EOFError, zlib.error, BadGzipFile) as error:
        raise ReadError(f"{type(error).__name__}: {error}") from None


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise ReadError(f"not a tar header: {error}") from None


def _extended(file: IO[bytes], size: int) -> bytes:
    if size > _MAX_HEADER:
        raise ReadError(f"an extended header of {size} bytes, {_MAX_HEADER} is the limit")
    return _read(file, size)


def _pax_fields(header: bytes) -> dict[str, bytes]:
    """Fields of a PAX header that matter here; tarfile.ReadError for broken ones and sparse files."""
    fields, start = {}, 0
    while start < len(header):
        record = _PAX_RECORD.match(header, start)
        end = start + int(record[1]) if record else 0
        if not record or not record.end() < end <= len(header):
            raise ReadError("a broken PAX header")
        keyword, value = record[2].decode("utf-8", "replace"), header[record.end() : end - 1]
        if keyword.startswith("GNU.sparse."):
            raise ReadError("a sparse file: pack the archive without --sparse")
        if keyword == "size" and not re.fullmatch(rb"\d{1,20}", value):
            raise ReadError("a PAX header whose size is no number")
        fields[keyword] = value
        start = end
    return fields


def _checked_size(size: int) -> int:
    if not 0 <= size <= _MAX_SIZE:
        raise ReadError(f"a header says that a member has {size} bytes")
    return size


def _checked_name(name: bytes) -> str:
    if len(name) > _MAX_NAME:
        raise ReadError(f"a name of {len(name)} bytes")
    return name.decode("utf-8", "surrogateescape").rstrip("/")
