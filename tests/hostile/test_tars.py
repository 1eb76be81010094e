"""Mutated tars and pictures, with fixed seeds: each ends as rows or as one error, in little time and memory."""

import contextlib
import gzip
import io
import resource
import struct
import tarfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthpairs.core.images import decode_image
from synthpairs.core.storage import locate_shard, read_shard, shard_bytes
from tests.captions.conftest import source_of
from tests.captions.readers.conftest import encoded, read_all

SECONDS = 3.0  # of computing; the largest picture that is read, 67 million pixels, takes about one
MEMORY = 3 * 2**29  # bytes of address space beyond what the process has
TYPES = bytes(range(ord("0"), ord("8"))) + b"\0xgXLKSDNVMA"
SIZES = [
    b"\xff" * 12,
    b"\xff" * 10 + b"\xfe\0",
    b"\x80" + b"\x7f" * 11,
    b"-7777777777\0",
    b"77777777777\0",
    b"0_7\0",
    b"9",
]
SIZES += [b"\x80" + number.to_bytes(11) for number in (2**20, 2**26 + 1, 2**31, 2**40, 2**62)]


@pytest.fixture(autouse=True)
def little_memory():
    """No more than MEMORY for a test."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@contextlib.contextmanager
def little_time():
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def mutated(payload, chance):
    """Some bytes changed, cut out, doubled or inserted, or the end cut off."""
    changed = bytearray(payload)
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        at = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 2, 4, 16, 512))
        part = changed[at : at + length]
        match chance.randrange(8):
            case 0:
                changed[at : at + length] = b""
            case 1:
                changed[at:at] = part
            case 2:
                changed[at:at] = chance.randbytes(length)
            case 3:
                changed[at : at + len(part)] = bytes([chance.choice((0, 1, 127, 128, 255))]) * len(part)
            case 4 if chance.random() < 0.3:
                del changed[at:]
            case _ if part:
                changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def mutated_tar(payload, chance):
    """Fields of headers changed and their checksums made right, or any bytes changed."""
    if chance.random() < 0.4:
        return mutated(payload, chance)
    changed = bytearray(payload)
    headers = [at for at in range(0, len(changed), 512) if changed[at + 257 : at + 262] == b"ustar"]
    for at in chance.sample(headers, chance.choice((1, 1, 2))):
        block = changed[at : at + 512]
        match chance.randrange(4):
            case 0:
                size = chance.choice(SIZES)
                block[124 : 124 + len(size)] = size
            case 1:
                block[156] = chance.choice(TYPES)
            case 2:
                block[chance.randrange(512)] = chance.randrange(256)
            case 3:
                start = chance.choice((0, 100, 124, 136, 345))
                block[start : start + 12] = chance.randbytes(12)
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
        changed[at : at + 512] = block
    return bytes(changed)


@pytest.fixture(scope="module")
def small_tar():
    """Samples of img2dataset's form, of which some have PAX headers and long names; two archives in a row."""
    archives = []
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            for key in ("0", "d/1", "x" * 150):
                texts = {"json": b'{"caption": "a cat"}', "txt": b"a cat"}
                for ending, payload in {"jpg": encoded(size=(4, 4), form="PNG"), **texts}.items():
                    entry = tarfile.TarInfo(f"{key}.{ending}")
                    entry.size, entry.mtime = len(payload), 0.5 if form == tarfile.PAX_FORMAT else 0
                    tar.addfile(entry, io.BytesIO(payload))
        blocks = len(buffer.getvalue().rstrip(b"\0")) // 512 + 1
        archives.append(buffer.getvalue()[: 512 * blocks] + bytes(1024))
    return b"".join(archives)


@pytest.mark.parametrize(("compressed", "count"), [("no", 2000), ("after", 700), ("before", 700)])
def test_mutated_tars_end_as_rows(tmp_path, small_tar, chance, compressed, count):
    path = tmp_path / ("a.tar" if compressed == "no" else "a.tar.gz")
    unreadable = 0
    for _ in range(count):
        payload = gzip.compress(small_tar) if compressed == "before" else small_tar
        payload = mutated(payload, chance) if compressed == "before" else mutated_tar(payload, chance)
        path.write_bytes(gzip.compress(payload, 1) if compressed == "after" else payload)
        with little_time():
            captions = read_all(source_of(path, "webdataset"))
        faults = [caption.detail for caption in captions if caption.reason]
        assert all(fault.startswith(str(path)) and len(fault) < 10_000 for fault in faults)
        assert "MemoryError" not in "".join(faults)
        assert len(captions) < 40
        unreadable += bool(faults)
    assert unreadable > count / 4


def test_mutated_shards_are_read_or_one_error_that_names_the_file(tmp_path, chance):
    whole = shard_bytes((f"{number:04d}", {"png": encoded(size=(4, 4)), "txt": b"a cat"}) for number in range(3))
    path, errors = tmp_path / "s.tar", []
    for _ in range(3000):
        path.write_bytes(mutated_tar(whole, chance))
        for read in (read_shard, locate_shard):
            with little_time():
                try:
                    assert len(list(read(path))) < 40
                except ValueError as error:
                    errors.append(str(error))
    assert all(error.startswith(f"{path}: not a whole tar shard") for error in errors)
    assert 1000 < len(errors) < 6000


def pictures():
    """(format, encoded picture) of several modes."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    plain, clear, grey = (
        Image.fromarray(noise[..., :3].copy()),
        Image.fromarray(noise),
        Image.fromarray(noise[..., 0].copy()),
    )
    deep, real = (Image.fromarray(noise[..., 0].astype(kind) * 100) for kind in (np.uint16, np.float32))
    frames = {"save_all": True, "append_images": [plain.rotate(90), plain]}
    saved = [
        ("PNG", plain, {"exif": turned}), ("PNG", clear, {}), ("PNG", deep, {}), ("PNG", plain.quantize(8), {"transparency": 1}),
        ("JPEG", plain, {"exif": turned}), ("JPEG", grey, {"progressive": True}), ("JPEG", plain.convert("CMYK"), {}),
        ("WEBP", clear, {"exif": turned}), ("WEBP", plain, {"lossless": True}), ("WEBP", plain, frames),
        ("TIFF", plain, {"compression": "tiff_lzw"}), ("TIFF", deep, {}), ("TIFF", real, {"compression": "tiff_adobe_deflate"}),
        ("TIFF", grey.convert("1"), {"compression": "group4"}), ("TIFF", plain, {"compression": "jpeg"}),
        ("GIF", plain, frames), ("GIF", plain.quantize(8), {"transparency": 1}), ("BMP", clear, {}), ("BMP", grey, {}),
    ]  # fmt: skip
    for form, image, options in saved:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        yield form, buffer.getvalue()


def with_checksums(png):
    """A PNG whose chunks have the checksums that their bytes give."""
    fixed, at = bytearray(png), 8
    while at + 12 <= len(fixed):
        end = at + 8 + int.from_bytes(fixed[at : at + 4])
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[at + 4 : end]))
        at = end + 4
    return bytes(fixed)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.filterwarnings("ignore")
def test_mutated_pictures_are_decoded_or_unreadable(form, chance):
    errors = []
    seeds = [payload for kind, payload in pictures() if kind == form]
    for number in range(1500):
        payload = mutated(chance.choice(seeds), chance)
        payload = with_checksums(payload) if form == "PNG" and number % 2 else payload
        with little_time():
            try:
                assert decode_image(payload, chance.choice((None, 8))).mode == "RGB"
            except ValueError as error:
                errors.append(str(error))
    assert not [error for error in errors if "\n" in error or " at 0x" in error or error.startswith("MemoryError")]
    assert 100 < len(errors) < 1500


def bombs():
    """(name, small file that announces or unpacks to a huge picture or text)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width, height, *chunks):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        data = zlib.compress(bytes((width // 8 + 1) * height), 9) if not chunks else zlib.compress(b"\0\0", 9)
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

    text = zlib.compress(bytes(2**28), 9)
    yield "pixels", png(30_000, 30_000)
    yield "text", png(8, 1, chunk(b"zTXt", b"a\0\0" + text))
    yield "profile", png(8, 1, chunk(b"iCCP", b"a\0\0" + text))
    for form, offset, size in (
        ("GIF", 6, struct.pack("<HH", 65535, 65535)),
        ("BMP", 18, struct.pack("<ii", 2**30, 2**30)),
    ):
        payload = bytearray(encoded(form=form))
        payload[offset : offset + len(size)] = size
        yield form, bytes(payload)
    jpeg = bytearray(encoded())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = b"\xff\xdc" * 2
    yield "JPEG", bytes(jpeg)
    webp = encoded(form="WEBP")[12:]
    for name, width, height in (("WEBP", 2**14, 2**14), ("WEBP, long", 20, 2**22)):
        sides = ((side - 1).to_bytes(3, "little") for side in (width, height))
        canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"".join(sides)
        yield name, b"RIFF" + struct.pack("<I", 4 + len(canvas + webp)) + b"WEBP" + canvas + webp
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "TIFF", compression="group4")
    yield "TIFF", buffer.getvalue()


@pytest.mark.parametrize("payload", [pytest.param(payload, id=name) for name, payload in bombs()])
def test_bombs_are_refused(payload):
    with little_time(), pytest.raises(ValueError, match="Error: "):
        decode_image(payload)
