"""Tar shards: samples with and without images, unsafe members, and truncation at any byte."""

import gzip
import io
import json
import tarfile

import pytest

from synthpairs.captions.readers import webdataset
from tests.captions.readers.conftest import encoded, outcome, reasons


def tar_of(*members):
    """An archive of (name, bytes), or (name, (type, link name)) for other entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
            else:
                entry.type, entry.linkname = content
            tar.addfile(entry, io.BytesIO(content) if entry.size else None)
    return buffer.getvalue()


def sample(key, text):
    """Members of a sample as img2dataset writes it."""
    meta = json.dumps({"caption": text, "url": f"http://{key}", "status": "success"}).encode()
    return [(f"{key}.jpg", encoded()), (f"{key}.json", meta), (f"{key}.txt", text.encode())]


def test_captions_come_from_txt_or_json_and_images_are_optional(read):
    payload = tar_of(
        ("./d", (tarfile.DIRTYPE, "")), *sample("./d/0", "a cat"),
        ("1.txt", b"\xef\xbb\xbfa dog\n"), ("1.npy", b"numbers"),
        ("2.json", b'{"caption": "a bus"}'),
        ("3.txt", b"caf\xe9"), ("3.json", b"broken"), ("3.jpg", b"broken"),
        ("4.json", b"broken"), ("5.jpg", encoded()), ("6.json", b"[1]"), ("README", b"?"),
    )  # fmt: skip
    captions = read("a.tar", payload, "webdataset")
    assert outcome(captions)[:4] == [("a cat", None), ("a dog", None), ("a bus", None), ("caf\ufffd", "unreadable")]
    assert [caption.original is None for caption in captions[:3]] == [False, True, True]
    assert reasons(captions[4:]) == ["unreadable"] * 4
    faults = ["3: picture: UnidentifiedImageError", "4: JSONDecodeError", "5: ValueError: no caption in jpg"]
    for caption, fault in zip(captions[3:], faults, strict=False):
        assert f"a.tar sample {fault}" in caption.detail
    assert read("a.tar.gz", gzip.compress(payload), "webdataset")[0] == captions[0]


def test_json_fields_and_the_image_extension_can_be_named(read):
    payload = tar_of(*sample("0", "a cat"), ("0.seg.png", encoded("blue", form="PNG")), ("1.json", b'{"caption": "a"}'))
    first, second = read("a.tar", payload, "webdataset", text="url", source="status", image="seg.png")
    assert (first.text, first.source) == ("http://0", "success")
    assert first.original != read("a.tar", payload, "webdataset")[0].original is not None
    assert "KeyError: 'url'" in second.detail
    with pytest.raises(ValueError, match=r"columns\.source: no record of .*a\.tar has the field 'licence'"):
        read("a.tar", payload, "webdataset", source="licence")


def test_unsafe_members_are_rejected(read, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret")
    outside = ["../0.txt", "/etc/0.txt", "a/../../b.txt"]
    payload = tar_of(
        ("0.jpg", encoded()), *((name, b"a dog") for name in outside),
        ("1.txt", (tarfile.SYMTYPE, str(tmp_path / "secret.txt"))), ("2.txt", (tarfile.LNKTYPE, "0.jpg")),
        ("3.txt", (tarfile.CHRTYPE, "")), ("4.txt", (tarfile.FIFOTYPE, "")), ("0.txt", b"a cat"), ("0.txt", b"a bus"),
    )  # fmt: skip
    captions = read("a.tar", payload, "webdataset")
    assert [caption.text for caption in captions if caption.reason is None] == ["a cat", "a bus"]
    assert captions[-2].original is not None
    lost = [caption for caption in captions if caption.reason == "unreadable"]
    assert [caption.text for caption in lost] == [*outside, "1.txt", "2.txt", "3.txt", "4.txt"]
    assert "a.tar member '../0.txt': its name leads out of the archive" in lost[0].detail
    assert "a link or device" in lost[3].detail
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "secret.txt"]


def test_a_member_of_0_bytes_is_a_broken_picture(read):
    (caption,) = read("a.tar", tar_of(("0.jpg", b""), ("0.txt", b"a cat")), "webdataset")
    assert caption.detail.endswith("sample 0: picture: ValueError: 0 bytes")


def test_a_member_over_the_limit_rejects_its_sample_alone(read, monkeypatch):
    monkeypatch.setattr(webdataset, "MAX_BYTES", 2000)
    payload = tar_of(("0.txt", b"a cat"), ("0.jpg", b"x" * 2001), ("0.mp4", b"x" * 5000), ("1.txt", b"a dog"))
    captions = read("a.tar", payload, "webdataset")
    assert outcome(captions) == [("a cat", "unreadable"), ("a dog", None)]
    assert "sample 0: 0.jpg: 2001 bytes, 2000 is the limit" in captions[0].detail


def test_tars_after_the_first_are_read(read):
    first, second = tar_of(*sample("0", "a cat")), tar_of(*sample("0", "a dog"), ("1.txt", b"a bus"))
    captions = read("a.tar", first + second, "webdataset")
    assert outcome(captions) == [("a cat", None), ("a dog", None), ("a bus", None)]
    assert read("a.tar.gz", gzip.compress(first) + gzip.compress(second), "webdataset") == captions
    *kept, lost = read("b.tar", first + second + b"more", "webdataset")
    assert outcome(kept) == outcome(captions)
    assert "b.tar from here on: ReadError: not a tar header" in lost.detail


def test_samples_of_concatenated_tars_are_never_mixed(read):
    payload = tar_of(("0.txt", b"a cat")) + tar_of(("0.jpg", encoded()), ("1.txt", b"a dog"))
    captions = read("a.tar", payload, "webdataset")
    assert outcome(captions) == [("a cat", None), ("", "unreadable"), ("a dog", None)]
    assert captions[0].original is None


@pytest.mark.parametrize("upper", ["txt", "json", "jpg", "seg.png"])
def test_case_of_extensions_does_not_matter(read, upper):
    members = [*sample("0", "a cat"), ("0.seg.png", encoded("blue", form="PNG"))]
    named = {"image": "seg.png"} if upper == "seg.png" else {}
    plain = read("a.tar", tar_of(*members), "webdataset", **named)
    members = [(name.replace(upper, upper.upper()), payload) for name, payload in members]
    assert read("a.tar", tar_of(*members), "webdataset", **named) == plain
    assert (outcome(plain), plain[0].original is None) == ([("a cat", None)], False)


@pytest.mark.parametrize("folder", ["", "./", "d/"])
def test_hidden_files_are_no_samples(read, folder):
    members = [member for key in "01" for member in sample(folder + key, f"cat {key}")]
    hidden = [(f"{folder}._{name.rpartition('/')[2]}", b"\0\5\x16\7") for name, _ in members]
    mixed = [entry for pair in zip(hidden, members, strict=True) for entry in pair]
    captions = read("a.tar", tar_of((f"{folder}.DS_Store", b"?"), *mixed), "webdataset")
    assert captions == read("b.tar", tar_of(*members), "webdataset")
    assert len(captions) == 2


@pytest.mark.parametrize("order", ["jpg json txt", "txt json jpg", "jpg txt json", "json jpg txt"])
def test_members_of_an_unsorted_tar_are_joined(read, order):
    members = [member for key in range(9) for member in sample(str(key), f"cat {key}")]
    unsorted = sorted(members, key=lambda member: order.split().index(member[0].partition(".")[2]))
    captions = read("a.tar", tar_of(*unsorted), "webdataset")
    assert captions == read("b.tar", tar_of(*members), "webdataset")
    assert [caption.original is None for caption in captions] == [False] * 9
    assert read("a.tar", tar_of(*unsorted, *sample("x", "a dog")), "webdataset")[:9] == captions


@pytest.mark.parametrize("order", ["jpg txt", "txt jpg"])
def test_an_unsorted_tar_beyond_memory_says_so(read, order, monkeypatch):
    monkeypatch.setattr(webdataset, "_HELD", 20_000)
    members = [member for key in range(99) for member in sample(str(key), "a cat") if "json" not in member[0]]
    assert reasons(read("a.tar", tar_of(*members), "webdataset")) == [None] * 99
    unsorted = sorted(members, key=lambda member: order.split().index(member[0].partition(".")[2]))
    *_, last = read("a.tar", tar_of(*unsorted), "webdataset")
    assert last.reason == "unreadable"
    assert f"0.{order[4:]} is too far from the other files of its sample: pack the archive again, sorted" in last.detail


def test_keys_with_dots_are_one_short_row_that_says_so(read):
    names = [f"www.example.org_{number:05d}.{ending}" for number in range(300) for ending in ("jpg", "txt")]
    (lost,) = read("a.tar", tar_of(*((name, b"a cat") for name in names)), "webdataset")
    assert "a.tar sample www: ValueError: a key ends at its name's first dot, so keys must hold no dots" in lost.detail
    assert lost.detail.endswith("and 595 more")
    assert len(lost.detail) < 700


def test_truncation_keeps_complete_samples_and_rejects_the_rest_once(read):
    names = ["a cat", "a dog", "a bus"]
    payload = tar_of(*(member for key, text in enumerate(names) for member in sample(str(key), text)))
    assert outcome(read("a.tar", payload, "webdataset")) == [(name, None) for name in names]
    size = (len(payload.rstrip(b"\0")) // 512 + 1) * 512
    lengths = set()
    for cut in range(0, size, 100):
        *kept, last = read("a.tar", payload[:cut], "webdataset")
        good = [caption.text for caption in kept if caption.reason is None]
        assert good == names[: len(good)]
        assert len(kept) - len(good) <= 1  # a sample without its caption
        lengths.add(len(good))
        assert last.reason == "unreadable"
        assert "a.tar from here on: " in last.detail
    assert lengths == {0, 1, 2, 3}  # 3: only the end-of-archive block is missing


def test_a_broken_header_is_not_taken_for_the_end(read):
    payload = bytearray(tar_of(("0.txt", b"a cat"), ("1.txt", b"a dog"), ("2.txt", b"a bus")))
    payload[1024 + 148] ^= 1  # the checksum of the second header
    assert reasons(read("a.tar", bytes(payload), "webdataset")) == [None, "unreadable"]
    assert reasons(read("a.tar", b"no tar at all", "webdataset")) == ["unreadable"]
