"""Tars of every format, and headers that announce what no archive holds."""

import gzip
import io
import subprocess
import tarfile
import time
import tracemalloc

import pytest

from synthpairs.core.tar import MAX_BYTES, read_member, tar_members

LONG = "d" * 120 + "/" + "é" * 120 + ".txt"


def header(name="1.txt", size=0, kind=tarfile.REGTYPE):
    """A header with any size, negative ones included."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


def archive(*parts):
    """A whole member `0.txt`, the parts padded to blocks, and an end."""
    blocks = [header("0.txt", 3), b"one", *parts]
    return b"".join(part + bytes(-len(part) % tarfile.BLOCKSIZE) for part in blocks) + bytes(1024)


def stream(payload):
    file = io.BytesIO(payload)
    return gzip.GzipFile(fileobj=file) if payload[:2] == b"\x1f\x8b" else file


def contents(payload):
    """(name, bytes) of all regular members."""
    file = stream(payload)
    entries = filter(None, tar_members(file))
    return [(entry.name, read_member(file, entry)) for entry in entries if entry.isreg()]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_reads(form):
    names = ["a.txt", "d/b", "é.txt", *([] if form == tarfile.USTAR_FORMAT else [LONG, "x" * 4000])]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers={"comment": "of all"}) as tar:
        for size, name in enumerate(names):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = 300 * size, 0.5
            tar.addfile(entry, io.BytesIO(bytes([65 + size]) * entry.size))
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE):
            entry = tarfile.TarInfo(f"{LONG[:150]}{kind}" if form != tarfile.USTAR_FORMAT else f"d{kind}")
            entry.type, entry.linkname = kind, names[-1]
            tar.addfile(entry)
    expected = [(name, bytes([65 + size]) * (300 * size)) for size, name in enumerate(names)]
    assert contents(buffer.getvalue()) == expected
    assert contents(gzip.compress(buffer.getvalue())) == expected


@pytest.mark.parametrize("form", ["v7", "ustar", "oldgnu", "gnu", "posix"])
def test_what_the_program_tar_packs_is_read(form, tmp_path):
    names = ["a.txt", "b.txt", *([] if form in ("v7", "ustar") else [LONG])]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    packed = subprocess.run(["tar", "-c", f"--format={form}", *names], cwd=tmp_path, capture_output=True, check=True)
    assert contents(packed.stdout) == [(name, name.encode()) for name in names]


DIGITS = header(kind=tarfile.XHDTYPE, size=2**20), b"1" * 2**20  # takes tarfile half an hour
IMPOSSIBLE = {
    "a header says that a member has -512 bytes": [header(size=-512)],
    "a header says that a member has 4611686018427387904 bytes": [header(size=2**62)],
    "unexpected end of data": [header(size=2**30)],
    "an extended header of 1048577 bytes": [header(kind=tarfile.XHDTYPE, size=2**20 + 1)],
    "an extended header of 2147483648 bytes": [header(kind=tarfile.GNUTYPE_LONGNAME, size=2**31)],
    "a name of 5000 bytes": [header(kind=tarfile.GNUTYPE_LONGNAME, size=5000), b"x" * 5000, header()],
    "a broken PAX header": DIGITS,
    "a PAX header whose size is no number": [header(kind=tarfile.XHDTYPE, size=11), b"11 size=-1\n", header()],
    "a header says that a member has 9999999999999 ": [
        header(kind=tarfile.XHDTYPE, size=22), b"22 size=9999999999999\n", header(),
    ],
    "without --sparse": [header(kind=tarfile.GNUTYPE_SPARSE)],
    "a sparse file": [header(kind=tarfile.XHDTYPE, size=22), b"22 GNU.sparse.major=1\n", header()],
    "not a tar header": [b"no header"],
}  # fmt: skip


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_impossible_headers_end_the_archive_in_little_time_and_memory(message, compress):
    entries, start = tar_members(stream(compress(archive(*IMPOSSIBLE[message])))), time.monotonic()
    tracemalloc.start()
    try:
        assert next(entries).name == "0.txt"
        with pytest.raises(tarfile.ReadError, match=message):
            list(entries)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 2


def test_a_name_that_unpacks_to_much_takes_no_memory():
    payload = gzip.compress(archive(header(kind=tarfile.GNUTYPE_LONGNAME, size=2**27), bytes(2**27)), 1)
    tracemalloc.start()
    try:
        with pytest.raises(tarfile.ReadError, match="an extended header of 134217728 bytes"):
            contents(payload)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_a_member_that_is_too_large_or_cut_off_is_an_error():
    for size, message in ((MAX_BYTES + 1, "67108865 bytes, 67108864 is the limit"), (4096, "unexpected end of data")):
        with pytest.raises(tarfile.ReadError, match=rf"1\.txt: {message}"):
            contents(archive(header(size=size)))


def test_every_end_of_an_archive_is_seen():
    one = archive()
    entries = tar_members(stream(one + archive() + bytes(100)))
    assert [entry and entry.name for entry in entries] == ["0.txt", None, "0.txt", None]
    assert contents(one[:-512]) == contents(one)  # of the two blocks of zeros
    for cut in range(0, len(one) - 1024 + 512, 100):
        with pytest.raises(tarfile.ReadError):
            contents(one[:cut])
