"""Sources: their files, every row of them, and errors about params.yaml."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from synthpairs.captions.params import CaptionParams
from synthpairs.captions.readers.read import READERS, read_sources
from synthpairs.core.config import load_params
from tests.captions.conftest import CONCEPTS, source_of
from tests.captions.readers.conftest import encoded, outcome, read_all, reasons

LINES = {  # start of a file, row, separator, end
    "jsonl": ("", '{{"text": "{}"}}', "\n", ""), "csv": ("text\n", "{}", "\n", ""), "tsv": ("", "{}\turl", "\n", ""),
    "text": ("", "{}", "\n", ""), "llava": ("[", '{{"text": "{}"}}', ",\n", "]"),
}  # fmt: skip


def file_of(kind, texts):
    start, row, between, end = LINES[kind]
    return (start + between.join(map(row.format, texts)) + end).encode()


def columns(kind):
    return {"text": "text"} if kind == "llava" else {}


@pytest.mark.parametrize("kind", [*READERS, "xlsx"])
def test_readers_are_the_formats_that_params_yaml_accepts(kind, tmp_path):
    columns = "{text: null, image: null, source: null}"
    entry = f"[{{name: n, path: p, format: {kind}, columns: {columns}, images: null, limit: 3, licence: null}}]"
    path = tmp_path / "params.yaml"
    path.write_text(Path("params.yaml").read_text().replace("sources: []", f"sources: {entry}"))
    if kind in READERS:
        assert load_params(CaptionParams, "captions", path).sources == [source_of("p", kind, name="n", limit=3)]
    else:
        with pytest.raises(ValueError, match=r"captions\.sources\[0\]\.format must be one of llava, .*; got 'xlsx'"):
            load_params(CaptionParams, "captions", path)


def test_order_of_sources_and_files_and_the_limit_of_rows(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"{name} cat\n{name} dog\n")
    (tmp_path / "a.csv").write_text("text\na bus\n")
    captions = read_all(source_of(tmp_path, "text", limit=3), source_of(tmp_path, "csv", name="other"))
    assert [(caption.text, caption.source, caption.concept) for caption in captions] == [
        ("a cat", "web", "cat"), ("a dog", "web", "dog"), ("b cat", "web", "cat"), ("a bus", "other", "bus"),
    ]  # fmt: skip
    globbed = read_all(source_of(tmp_path / "[bc].txt", "text"))
    assert [caption.text for caption in globbed] == ["b cat", "b dog", "c cat", "c dog"]


@pytest.mark.parametrize("kind", LINES)
def test_hidden_files_of_a_directory_or_glob_are_left_out(kind, tmp_path):
    ending = {"text": "txt", "llava": "json"}.get(kind, kind)
    (tmp_path / f"a.{ending}").write_bytes(file_of(kind, ["a cat"]))
    for name in (f"._a.{ending}", f".b.{ending}"):
        (tmp_path / name).write_bytes(b"\0\x05\x16\7\0\2\0\0Mac OS X        ")
    for path in (tmp_path, tmp_path / f"*.{ending}", tmp_path / f"**/*.{ending}"):
        assert outcome(read_all(source_of(path, kind, **columns(kind)))) == [("a cat", None)]
    (tmp_path / f"a.{ending}").unlink()
    with pytest.raises(FileNotFoundError, match=r"captions\.sources\[0\]\.path: there is no file ending in"):
        read_all(source_of(tmp_path, kind, **columns(kind)))


@pytest.mark.parametrize("kind", [*LINES, "coco"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_utf_16_is_named(kind, encoding, compress, read):
    payload = (
        file_of(kind, ["a cat"]).decode().encode(encoding) if kind in LINES else '{"annotations": []}'.encode(encoding)
    )
    name = "a.gz" if compress is gzip.compress else "a"
    with pytest.raises(ValueError, match=rf"/{name} is UTF-16; convert it with iconv -f UTF-16 -t UTF-8"):
        read(name, compress(payload), kind)


def test_several_captions_of_an_image_are_several_rows_that_share_it(read, tmp_path):
    (tmp_path / "1.jpg").write_bytes(encoded())
    payload = b'{"text": ["a cat", 3, "a dog"], "jpg": "1.jpg"}\n{"text": []}\n{"text": "a bus"}\n'
    captions = read("a.jsonl", payload, "jsonl", image="jpg")
    assert outcome(captions) == [
        ("a cat", None), ("", "unreadable"), ("a dog", None), ("", "unreadable"), ("a bus", None)
    ]  # fmt: skip
    assert captions[0].original == captions[2].original is not None
    assert "a.jsonl line 1 caption 2: text and source must be strings, got int and str" in captions[1].detail
    assert len(read("a.jsonl", payload, "jsonl", limit=3)) == 3


def test_the_source_column_and_its_default(read):
    captions = read("a.csv", b"text,from\na cat,flickr\na dog,\n", "csv", source="from")
    captions += read(
        "a.jsonl", b'{"text": "a", "from": "x"}\n{"text": "b"}\n{"text": "c", "from": 3}', "jsonl", source="from"
    )
    assert [caption.source for caption in captions] == ["flickr", "web", "x", "web", "web"]
    assert reasons(captions) == [None] * 4 + ["unreadable"]


@pytest.mark.parametrize("kind", LINES)
def test_compressed_files_and_truncated_ones(kind, read):
    rows = [f"{number} a cat on a mat" for number in range(20_000)]
    whole = gzip.compress(file_of(kind, rows))
    assert [caption.text for caption in read("a.gz", whole, kind, **columns(kind))] == rows
    *kept, last = read("a.gz", whole[: len(whole) // 2], kind, **columns(kind))
    assert [caption.text for caption in kept] == rows[: len(kept)]
    assert 1000 < len(kept) < 20_000 or kind == "llava"  # which is decoded in chunks of a megabyte
    assert last.reason == "unreadable"
    assert "a.gz from here on: EOFError" in last.detail


@pytest.mark.parametrize("kind", LINES)
def test_byte_order_marks_are_removed_and_invalid_bytes_replaced(kind, read):
    payload = b"\xef\xbb\xbf" + file_of(kind, ["a caf#"]).replace(b"#", b"\xe9")
    assert outcome(read("a", payload, kind, **columns(kind))) == [("a caf\ufffd", None)]


@pytest.fixture
def peak():
    """Reads a source; returns the number of its good captions but the first, and the peak memory."""

    def read(source):
        captions = read_sources([source], 16, CONCEPTS)
        next(captions)
        tracemalloc.start()
        try:
            return sum(caption.reason is None for caption in captions), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return read


@pytest.mark.parametrize("kind", ["jsonl", "csv", "llava"])
def test_memory_does_not_grow_with_the_file(kind, tmp_path, peak):
    texts = (
        f"a photograph of a small red bus number {number} next to it{' a station' * 9}" for number in range(100_000)
    )
    (tmp_path / "many").write_bytes(file_of(kind, texts))
    read, memory = peak(source_of(tmp_path / "many", kind, text="text"))
    assert read == 100_000 - 1
    assert memory < 5_000_000 < (tmp_path / "many").stat().st_size / 2


@pytest.mark.parametrize("kind", ["text", "tsv", "csv", "jsonl"])
def test_memory_is_bounded_for_a_long_compressed_line(kind, tmp_path, peak):
    path, row = tmp_path / "a.gz", '{"text": "a dog"}' if kind == "jsonl" else "a dog"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(file_of(kind, ["a cat"]) + b"\n")
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(f"\n{row}\n".encode())
    assert path.stat().st_size < 2**20
    read, memory = peak(source_of(path, kind))
    assert read == (1 if kind in ("csv", "jsonl") else 2)  # the others read the beginning of the line
    assert memory < 40 * 2**20


def test_images_from_paths_and_unreadable_ones(tmp_path, read):
    (tmp_path / "pictures").mkdir()
    for name in ("pictures/a.jpg", "outside.jpg"):
        (tmp_path / name).write_bytes(encoded())
    names = ["a.jpg", "b.jpg", "", "../outside.jpg", str(tmp_path / "outside.jpg"), "n" * 300]
    payload = "".join(f"a cat,{name}\n" for name in names).encode()
    captions = read("a.csv", payload, "csv", text="0", image="1", images=str(tmp_path / "pictures"))
    assert reasons(captions) == [None, "unreadable", None, *["unreadable"] * 3]
    assert [caption.original is None for caption in captions] == [False, *[True] * 5]
    assert "a.csv line 4: picture: '../outside.jpg' leads out of" in captions[3].detail
    inside = f"a cat,pictures/a.jpg\na cat,{tmp_path}/pictures/a.jpg\n".encode()
    both = read("b.csv", inside, "csv", text="0", image="1")
    assert [caption.original for caption in both] == [captions[0].original] * 2


@pytest.mark.parametrize(
    ("kind", "name", "changed", "error"),
    [
        ("csv", "a.csv", {"text": "caption"}, "columns.text: .*a.csv has no column 'caption'; .* url, text"),
        ("csv", "a.csv", {"source": "s"}, "columns.source: .*a.csv has no column 's'; .* url, text"),
        ("csv", "a.csv", {"text": "5"}, "columns.text: no line of .*a.csv has a column 5; the first has 0 to 1"),
        ("tsv", "a.tsv", {"text": "2"}, "columns.text: no line of .*a.tsv has a column 2; the first has 0 to 1"),
        ("jsonl", "a.jsonl", {"text": "x"}, "columns.text: no record of .*a.jsonl has the field 'x'; .* has text"),
        ("jsonl", "a.jsonl", {"image": "x"}, "columns.image: no record of .*a.jsonl has the field 'x'"),
        ("llava", "a.json", {}, "columns.text: no record of .* has the field 'conversations'; the first has text"),
        ("llava", "a.jsonl", {}, "path: .*a.jsonl is not a JSON list of records"),
        ("text", "a.tsv", {"text": "0"}, "columns: a text file has none"),
        ("csv", "none.csv", {}, "path: there is no file at '.*none.csv'"),
        ("csv", "*.nothing", {}, r"path: there is no file at '.*\*.nothing'"),
        ("webdataset", "", {}, r"path: there is no file ending in .tar or .tar.gz at"),
        ("huggingface", "a.csv", {}, "path: there is no directory at"),
        ("csv", "a.csv", {"images": "x"}, "images is 'x', but columns.image is null"),
        ("csv", "a.csv", {"image": "url", "images": "x"}, "images: 'x' is not a directory"),
    ],
)
def test_errors_about_params_yaml(kind, name, changed, error, tmp_path):
    (tmp_path / "a.csv").write_text("url,text\nhttp://e,a cat\n")
    (tmp_path / "a.tsv").write_text("a cat\thttp://e\n")
    (tmp_path / "a.jsonl").write_text('{"text": "a cat"}\n')
    (tmp_path / "a.json").write_text('[{"text": "a cat"}]')
    with pytest.raises((ValueError, FileNotFoundError), match=rf"^params\.yaml: captions\.sources\[1\]\.{error}"):
        read_all(source_of(tmp_path / "a.csv", "csv", limit=1), source_of(tmp_path / name, kind, **changed))
