"""Files are marked by XMP as generated; pixels and keys do not change, nor files without the mark."""

import io
import struct
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion.make import SOURCE_TYPE, encoded, make_images
from synthpairs.generation.diffusion.replay import replay

FORMS = {"png": None, "webp": None, "jpg": 100}
PICTURE = np.random.default_rng(0).random((24, 40, 3))


@pytest.mark.parametrize("form", FORMS)
def test_the_packet_has_iptcs_source_type(settings, form):
    payload = encoded(PICTURE, settings(format=form, quality=FORMS[form]))[form]
    text = payload[payload.index(b"<?xpacket begin") : payload.index(b'<?xpacket end="r"?>') + 19].decode()
    if form == "png":
        start = b"iTXtXML:com.adobe.xmp\0" + b"\0\0" + b"\0\0"  # not compressed, no language, no translated keyword
        assert start + text.encode() in payload
        assert payload.index(start) < payload.index(b"IDAT"), "some readers stop at the pixels"
    elif form == "jpg":  # APP1 of XMP's namespace, its length counted with itself, before the pixels
        body = b"http://ns.adobe.com/xap/1.0/\0" + text.encode()
        start = b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
        assert payload.index(start) < payload.index(b"\xff\xda")
    else:
        assert payload[12:16] == b"VP8X"
        assert payload[20] & 0b100, "the header's XMP flag"
        assert b"XMP " + struct.pack("<I", len(text.encode())) + text.encode() in payload
    assert text.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    root = ElementTree.fromstring(text)
    (kind,) = root.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert kind.text == SOURCE_TYPE == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.mark.parametrize("form", FORMS)
def test_the_mark_changes_no_pixel_and_equal_pictures_give_equal_bytes(settings, form):
    params = settings(format=form, quality=FORMS[form])
    marked, plain = (encoded(PICTURE, replace(params, mark=mark))[form] for mark in (True, False))
    assert encoded(PICTURE, params)[form] == marked
    assert SOURCE_TYPE.encode() not in plain
    one, other = (Image.open(io.BytesIO(payload)) for payload in (marked, plain))
    assert one.mode == other.mode == "RGB"
    assert np.array_equal(np.asarray(one), np.asarray(other))
    lost = np.abs(np.asarray(one).astype(int) - (PICTURE * 255).round().astype(int))
    assert lost.max() == 0 or form == "jpg"
    for value, error in ((np.nan, "not finite"), (0, "one flat colour")):
        with pytest.raises(ValueError, match=error):
            encoded(np.full_like(PICTURE, value), params)


def test_only_stored_pictures_of_the_same_mark_are_reused(settings, captions, tmp_path):
    _, first = make_images(captions[:2], settings(mark=False), tmp_path / "plain")
    _, second = make_images(captions[:2], settings(mark=True), tmp_path / "marked")
    _, third = make_images(captions[:2], settings(mark=False), tmp_path / "again")
    assert [one["reused"] for one in (first, second, third)] == [0, 0, 4]
    plain, marked, again = (
        {key: members["png"] for shard in (tmp_path / name).glob("shard-*.tar") for key, members in read_shard(shard)}
        for name in ("plain", "marked", "again")
    )
    assert plain == again
    assert plain.keys() == marked.keys()
    assert all(SOURCE_TYPE.encode() in payload for payload in marked.values())
    assert not any(SOURCE_TYPE.encode() in payload for payload in plain.values())
    assert "mark" not in (tmp_path / "plain/generator.json").read_text()
    assert replay(next(iter(marked)), settings(mark=True), tmp_path / "marked").equal_bytes
