"""Pictures say in their files that a model made them; pixels, keys and unmarked files stay what they are."""

import io
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion.make import SOURCE_TYPE, encoded, make_images
from synthpairs.generation.diffusion.replay import replay

FORMS = ("png", "webp")
PICTURE = np.random.default_rng(0).random((24, 40, 3))


def png_chunks(payload):
    """Name and content of every chunk; their checksums must be right."""
    assert payload.startswith(b"\x89PNG\r\n\x1a\n")
    place = 8
    while place < len(payload):
        size, name = struct.unpack(">I4s", payload[place : place + 8])
        content, (check,) = payload[place + 8 : place + 8 + size], struct.unpack(">I", payload[place + 8 + size :][:4])
        assert check == zlib.crc32(name + content)
        yield name, content
        place += size + 12


def webp_chunks(payload):
    assert (payload[:4], payload[8:12]) == (b"RIFF", b"WEBP")
    assert struct.unpack("<I", payload[4:8])[0] == len(payload) - 8
    place = 12
    while place < len(payload):
        name, size = struct.unpack("<4sI", payload[place : place + 8])
        yield name, payload[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def packet(payload, form):
    """The one XMP packet of the file, found by the rules of its format and not by Pillow."""
    if form == "webp":
        chunks = dict(webp_chunks(payload))
        assert chunks[b"VP8X"][0] & 0b100, "the header must announce the packet"
        return chunks[b"XMP "].decode()
    keyword = b"XML:com.adobe.xmp\0" + b"\0\0" + b"\0\0"  # not compressed, no language, no translated keyword
    names = [name for name, _ in png_chunks(payload)]
    assert names.index(b"iTXt") < names.index(b"IDAT"), "readers that stop at the pixels must have met it"
    (content,) = [content for name, content in png_chunks(payload) if name == b"iTXt"]
    assert content.startswith(keyword)
    return content.removeprefix(keyword).decode()


@pytest.mark.parametrize("form", FORMS)
def test_the_packet_says_what_iptc_says(form):
    text = packet(encoded(PICTURE, form, marked=True)[form], form)
    assert text.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert text.endswith('<?xpacket end="r"?>')
    root = ElementTree.fromstring(text)
    (found,) = root.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert found.text == SOURCE_TYPE == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize("form", FORMS)
def test_pixels_stay_and_equal_pictures_give_equal_bytes(form):
    marked, plain = (encoded(PICTURE, form, marked=marked)[form] for marked in (True, False))
    assert encoded(PICTURE, form, marked=True)[form] == marked
    assert SOURCE_TYPE.encode() not in plain
    one, other = (Image.open(io.BytesIO(payload)) for payload in (marked, plain))
    assert one.mode == other.mode == "RGB"
    assert np.array_equal(np.asarray(one), np.asarray(other))
    assert np.array_equal(np.asarray(one), (PICTURE * 255).round().astype(np.uint8))
    for value, error in ((np.nan, "not finite"), (0, "one flat colour")):
        with pytest.raises(ValueError, match=error):
            encoded(np.full_like(PICTURE, value), form, marked=True)


def files(folder):
    return {key: members["png"] for shard in sorted(folder.glob("shard-*.tar")) for key, members in read_shard(shard)}


def test_stored_pictures_without_the_mark_are_not_taken_up(settings, captions, tmp_path):
    """Nor marked ones when the mark is switched off; going back finds the first ones again. Keys never change."""
    _, first = make_images(captions[:2], settings(mark=False), tmp_path / "plain")
    _, second = make_images(captions[:2], settings(mark=True), tmp_path / "marked")
    _, third = make_images(captions[:2], settings(mark=False), tmp_path / "again")
    assert [one["reused"] for one in (first, second, third)] == [0, 0, 4]
    plain, marked = files(tmp_path / "plain"), files(tmp_path / "marked")
    assert plain == files(tmp_path / "again")
    assert plain.keys() == marked.keys()
    assert all(SOURCE_TYPE.encode() in payload for payload in marked.values())
    assert not any(SOURCE_TYPE.encode() in payload for payload in plain.values())
    for key, payload in plain.items():
        one, other = (np.asarray(Image.open(io.BytesIO(each))) for each in (payload, marked[key]))
        assert np.array_equal(one, other)
    assert "mark" not in (tmp_path / "plain/generator.json").read_text()
    assert replay(next(iter(marked)), settings(mark=True), tmp_path / "marked").equal_bytes
