"""Sources: which files they are, what becomes of every row, and what is said about mistakes in params.yaml."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from synthpairs.captions.params import CaptionParams
from synthpairs.captions.readers.read import READERS, read_sources
from synthpairs.core.config import load_params
from tests.captions.conftest import CONCEPTS
from tests.captions.readers.conftest import encoded, outcome, source_of


def test_the_readers_are_the_formats_of_params_yaml(tmp_path):
    text = Path("params.yaml").read_text()
    entry = "{name: n, path: p, format: %s, columns: {text: null, image: null, source: null}, images: null, limit: 3}"
    for kind in READERS:
        (tmp_path / "params.yaml").write_text(text.replace("sources: []", f"sources: [{entry % kind}]"))
        (source,) = load_params(CaptionParams, "captions", tmp_path / "params.yaml").sources
        assert source == source_of("p", kind, name="n", limit=3)
    (tmp_path / "params.yaml").write_text(text.replace("sources: []", f"sources: [{entry % 'xlsx'}]"))
    with pytest.raises(ValueError, match=r"captions\.sources\[0\]\.format must be one of llava, .*; got 'xlsx'"):
        load_params(CaptionParams, "captions", tmp_path / "params.yaml")


def test_sources_and_files_come_in_order_and_a_limit_is_over_all_files(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"{name} cat\n{name} dog\n")
    (tmp_path / "a.csv").write_text("text\na bus\n")
    sources = [source_of(tmp_path, "text", limit=3), source_of(tmp_path, "csv", name="other")]
    captions = list(read_sources(sources, 16, CONCEPTS))
    assert [(caption.text, caption.source, caption.concept) for caption in captions] == [
        ("a cat", "web", "cat"), ("a dog", "web", "dog"), ("b cat", "web", "cat"), ("a bus", "other", "bus"),
    ]  # fmt: skip
    found = read_sources([source_of(tmp_path / "[bc].txt", "text")], 16, CONCEPTS)
    assert [caption.text for caption in found] == ["b cat", "b dog", "c cat", "c dog"]


def test_a_columns_source_is_the_captions_and_an_empty_one_the_sources(read):
    captions = read("a.csv", b"text,from\na cat,flickr\na dog,\n", "csv", source="from")
    assert [caption.source for caption in captions] == ["flickr", "web"]
    captions = read(
        "a.jsonl", b'{"text": "a", "from": "x"}\n{"text": "b"}\n{"text": "c", "from": 3}\n', "jsonl", source="from"
    )
    assert [(caption.source, caption.reason) for caption in captions] == [
        ("x", None),
        ("web", None),
        ("web", "unreadable"),
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "text", "llava"])
def test_compressed_files_are_read_and_a_cut_one_keeps_what_came_before(kind, read):
    rows = [f"{number} a cat on a mat" for number in range(20_000)]
    payload = {
        "jsonl": "\n".join(json.dumps({"text": row}) for row in rows),
        "csv": "text\n" + "\n".join(rows),
        "tsv": "\n".join(rows),
        "text": "\n".join(rows),
        "llava": json.dumps([{"id": 1, "caption": row} for row in rows]),
    }[kind].encode()
    column = {"text": "caption"} if kind == "llava" else {}
    whole = gzip.compress(payload)
    assert [caption.text for caption in read("a.gz", whole, kind, **column)] == rows
    *kept, last = read("a.gz", whole[: len(whole) // 2], kind, **column)
    if kind == "llava":  # reads in chunks of a megabyte
        assert (kept, last.reason) == ([], "unreadable")
    else:
        assert 1000 < len(kept) < 20_000
        assert [caption.text for caption in kept] == rows[: len(kept)]
    assert last.reason == "unreadable"
    assert "a.gz from here on: EOFError" in last.detail


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "text", "llava"])
def test_a_byte_order_mark_is_taken_off_and_other_bytes_are_replaced(kind, read):
    rows = {
        "jsonl": b'{"text": "a caf\xe9"}\n', "csv": b"text\na caf\xe9\n", "tsv": b"a caf\xe9\turl\n",
        "text": b"a caf\xe9\n", "llava": b'[{"text": "a caf\xe9"}]',
    }  # fmt: skip
    captions = read("a", b"\xef\xbb\xbf" + rows[kind], kind, **({"text": "text"} if kind == "llava" else {}))
    assert outcome(captions) == [("a caf\ufffd", None)]


@pytest.mark.parametrize(("kind", "rows"), [("jsonl", 60_000), ("csv", 150_000), ("llava", 60_000)])
def test_memory_does_not_grow_with_the_file(kind, rows, tmp_path):
    path = tmp_path / "many"
    with path.open("w") as file:
        file.write({"jsonl": "", "csv": "url,text\n", "llava": "["}[kind])
        for number in range(rows):
            text = f"a photograph of a small red bus, number {number}, next to the old station"
            row = json.dumps({"id": number, "text": text, "url": f"http://example.org/{number}/{'x' * 60}"})
            file.write({"jsonl": row, "csv": f'{number},"{text}"', "llava": f"{',' * bool(number)}{row}"}[kind] + "\n")
        file.write("]" if kind == "llava" else "")
    captions = read_sources([source_of(path, kind, text="text")], 16, CONCEPTS)
    assert next(captions).concept == "bus"
    tracemalloc.start()
    try:
        assert sum(caption.reason is None for caption in captions) == rows - 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000 < path.stat().st_size / 2


@pytest.mark.parametrize("kind", ["text", "tsv", "csv", "jsonl"])
def test_a_line_that_unpacks_to_a_hundred_megabytes_is_never_held(kind, tmp_path):
    path = tmp_path / "a.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"text\na cat\n" if kind == "csv" else b'{"text": "a cat"}\n' if kind == "jsonl" else b"a cat\n")
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b'\n{"text": "a dog"}\n' if kind == "jsonl" else b"\na dog\n")
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        captions = list(read_sources([source_of(path, kind)], 16, CONCEPTS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [caption.text for caption in (captions[0], captions[-1])] == ["a cat", "a dog"]
    assert len(captions) == 3
    assert peak < 40 * 2**20


def test_pictures_come_from_paths_and_an_unreadable_one_rejects_its_row_alone(tmp_path, read):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.jpg").write_bytes(encoded())
    (tmp_path / "outside.jpg").write_bytes(encoded())
    names = ["a.jpg", "b.jpg", "", "../outside.jpg", str(tmp_path / "outside.jpg"), "n" * 300]
    payload = "".join(f"a cat,{name}\n" for name in names).encode()
    folder = {"text": "0", "image": "1", "images": str(tmp_path / "pictures")}
    captions = read("a.csv", payload, "csv", **folder)
    assert [caption.reason for caption in captions] == [None, "unreadable", None, *["unreadable"] * 3]
    assert [caption.original is None for caption in captions] == [False, *[True] * 5]
    assert "a.csv line 4: picture: '../outside.jpg' leads out of" in captions[3].detail
    inside = f"a cat,pictures/a.jpg\na cat,{tmp_path}/pictures/a.jpg\n".encode()
    found = read("b.csv", inside, "csv", text="0", image="1")
    assert [caption.original for caption in found] == [captions[0].original] * 2


@pytest.mark.parametrize(
    ("kind", "name", "changed", "error"),
    [
        (
            "csv",
            "a.csv",
            {"text": "caption"},
            "columns.text: .*a.csv has no column 'caption'; its first line has url, text",
        ),
        ("csv", "a.csv", {"source": "s"}, "columns.source: .*a.csv has no column 's'; its first line has url, text"),
        ("csv", "a.csv", {"text": "5"}, "columns.text: no line of .*a.csv has a column 5; the first has 0 to 1"),
        ("tsv", "a.tsv", {"text": "2"}, "columns.text: no line of .*a.tsv has a column 2; the first has 0 to 1"),
        (
            "jsonl",
            "a.jsonl",
            {"text": "x"},
            "columns.text: no record of .*a.jsonl has the field 'x'; the first has text",
        ),
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
def test_a_mistake_in_params_yaml_is_named(kind, name, changed, error, tmp_path):
    (tmp_path / "a.csv").write_text("url,text\nhttp://e,a cat\n")
    (tmp_path / "a.tsv").write_text("a cat\thttp://e\n")
    (tmp_path / "a.jsonl").write_text('{"text": "a cat"}\n')
    (tmp_path / "a.json").write_text('[{"text": "a cat"}]')
    sources = [source_of(tmp_path / "a.csv", "csv", limit=1), source_of(tmp_path / name, kind, **changed)]
    with pytest.raises((ValueError, FileNotFoundError), match=rf"^params\.yaml: captions\.sources\[1\]\.{error}"):
        list(read_sources(sources, 16, CONCEPTS))
