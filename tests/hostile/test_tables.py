"""Mutated files of captions and hostile captions: every row ends as kept or rejected, in bounded time and memory."""

import json
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthpairs.captions.filtering import filter_captions
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.readers.read import _rows, read_sources
from synthpairs.captions.tables import write_filtered
from synthpairs.core.config import load_params
from synthpairs.core.storage import WorkStore
from tests.captions.conftest import CONCEPTS, source_of
from tests.memory import little_memory

SECONDS = 5  # of one core, for one file of some KB
TEXTS = ["a red cat on a mat", 'two "big" dogs, there', "caf\u00e9 \U0001f431 at night", "", "an old bus\nin the rain"]
TURNS = [[{"from": "human", "value": "<image>"}, {"from": "gpt", "value": text}] for text in TEXTS]
LISTS = {"captions": TEXTS, "image_urls": TEXTS}
LINES = [text.replace("\n", " ") for text in TEXTS]
FILES = {  # a valid file, and columns that are read beside the default
    "text": ("\n".join(LINES), {}),
    "tsv": ("".join(f"{line}\thttp://{line}\n" for line in LINES), {"source": "1"}),
    "csv": (pd.DataFrame({"text": TEXTS, "from": LINES}).to_csv(index=False), {"source": "from"}),
    "jsonl": ("\n".join(json.dumps({"text": text, "from": text}) for text in TEXTS), {"source": "from"}),
    "llava": (json.dumps([{"id": "1", "conversations": turns} for turns in TURNS], indent=1), {"source": "id"}),
    "coco": (json.dumps({"images": [{"id": 1, "url": "x"}],
                         "annotations": [{"image_id": 1, "caption": text} for text in TEXTS]}), {"source": "url"}),
    "karpathy": (json.dumps({"images": [{"sentences": [{"raw": text}] * 2, "split": "val"} for text in TEXTS]}),
                 {"source": "split"}),
    "sbu": (json.dumps(LISTS), {"source": "image_urls"}),
}  # fmt: skip
ODD = [
    b"\0", b"\r", b"\r\n", b"\n", b"\t", b",", b'"', b'""', b"'", b"\\", b"\\ud800", b"\\u0000", b"[", b"]", b"{", b"}", b":",
    b"[" * 3000, b'{"text":' * 500, b'{"id": [' * 500, b"]" * 50, b"1" * 5000, b"1e999", b"NaN", b"-", b"null", b"true",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"\xf0\x9f", b"x" * 200_000, "\u202e\u2028".encode(), b"<!--",
]  # fmt: skip


def mutated(payload, rng):
    """The bytes with one to four parts changed, inserted, deleted, doubled or moved, or cut off."""
    data = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        start, size = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 64])
        part = bytes(data[start : start + size])
        kind = rng.randrange(7)
        if kind == 0:
            data[start : start + size] = rng.randbytes(len(part))
        elif kind < 3:
            data[start:start] = rng.choice(ODD)
        elif kind == 3:
            data[start : start + size] = rng.choice(ODD)
        elif kind == 4:
            data[start : start + size] = b""
        elif kind == 5:
            place = rng.randrange(len(data) + 1)
            data[place:place] = part
        elif rng.random() < 0.3:
            del data[start:]
    return bytes(data)


def read(source, seconds=SECONDS):
    """The captions of a source, as many as the rows; none after an error, which is one about params.yaml and the file."""
    key, start = "params.yaml: captions.sources[0]", time.process_time()
    try:
        captions = list(read_sources([source], 16, CONCEPTS))
    except ValueError as error:
        if not str(error).startswith((key, source.path)):
            raise
        return []
    finally:
        assert time.process_time() - start < seconds
    assert len(captions) == sum(1 for _ in _rows(Path(source.path), source, key))
    assert all(caption.detail for caption in captions if caption.reason is not None)
    return captions


@pytest.fixture
def conserved(tmp_path, monkeypatch):
    """Filters captions by the rules of params.yaml, and checks that each is in one of the tables, unchanged; returns these."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    params = load_params(CaptionParams, "captions")
    none = {name: replace(getattr(params, name), engine="none") for name in ("perplexity", "judge")}
    params = replace(params, **none)

    def check(captions):
        before = Counter((caption.text, caption.source) for caption in captions)
        with WorkStore("captions", "test").locked() as store:
            write_filtered(filter_captions(captions, params, load_models(params), store), load_models(params), tmp_path)
        tables = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("kept", "rejected")]
        assert Counter(pair for table in tables for pair in zip(table["text"], table["source"], strict=True)) == before
        return tables

    return check


@pytest.mark.parametrize("kind", FILES)
def test_mutated_text_files(kind, tmp_path, conserved, chance):
    captions, whole = [], FILES[kind][0].encode()
    source = source_of(tmp_path / "a", kind, **FILES[kind][1])
    with little_memory():
        for _ in range(300):
            Path(source.path).write_bytes(mutated(whole, chance))
            captions += read(source)
    assert len(captions) > 300
    kept, rejected = conserved(captions)
    assert len(kept) > 0
    assert "exact_duplicate" in set(rejected["reason"])


def test_mutated_parquet_files(tmp_path, conserved, chance):
    captions = []
    table = pa.table({"text": pa.array(TEXTS).dictionary_encode(), "from": LINES, "n": range(len(TEXTS)),
                      "when": pa.array([0, 2**62, 1, None, 2], pa.timestamp("us"))})  # fmt: skip
    pq.write_table(table, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    sources = [source_of(tmp_path / "a", "parquet", source=column) for column in ("from", "n", "when", None)]
    with little_memory():
        for _ in range(400):
            (tmp_path / "a").write_bytes(mutated(whole, chance))
            captions += read(chance.choice(sources))
    conserved(captions)


def test_mutated_hugging_face_folders(tmp_path, conserved, chance):
    import datasets  # takes seconds

    captions, folder = [], tmp_path / "a"
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(tmp_path / "saved")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/a.jsonl").write_text(FILES["jsonl"][0])
    card = "---\nconfigs:\n- config_name: default\n  data_files: [{split: train, path: a.jsonl}]\n---\n"
    (tmp_path / "files/README.md").write_text(card)
    whole = [path for name in ("saved", "files") for path in sorted((tmp_path / name).iterdir())]
    for number in range(80):
        path = whole[number % len(whole)]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(path.parent, folder)
        (folder / path.name).write_bytes(mutated(path.read_bytes(), chance))
        captions += read(source_of(folder, "huggingface"), 4 * SECONDS)
    conserved(captions)


PIECES = [
    "\0", "\x1b[31m", "\x7f", "\x85", "\t", "\n", "\r", "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u2028", "\u00ad",
    "\ud800", "\udfff", "\ufffd", "\U000e0041", "\U0010ffff", "a\u0301" * 40, "\u0e33" * 30, "\U0001f468\u200d\U0001f469", "<b>",
    "<PERSON>", "<image>", "</s>", "<|im_start|>", "[INST]", "{{ 7*7 }}", "{text}", "{0}", "%s", "%n", "${HOME}", "$(x)", "`x`",
    "&amp;", "&#x27;", "<!--", "<script>alert(1)</script>", "](http://x)", "| a |", "# ", "'; DROP TABLE", "=1+1", "../..",
    "x" * 5000, "ab" * 200, " " * 400, "\u3000", "\u5b57" * 50, "1" * 60, *["cat", "dog", "a photo of", "on a mat"] * 10,
]  # fmt: skip


def test_hostile_captions_are_kept_or_rejected(tmp_path, conserved, chance):
    texts = [" ".join(chance.choices(PIECES, k=chance.randint(0, 6))) for _ in range(9000)]
    texts += ["".join(chr(chance.randrange(0x110000)) for _ in range(chance.randint(1, 40))) for _ in range(1000)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    start = time.process_time()
    with little_memory():
        captions = read(source_of(tmp_path / "a.jsonl", "jsonl"), 30)
        kept, rejected = conserved(captions)
    assert time.process_time() - start < 30
    assert len(kept) + len(rejected) == len(texts)
    assert len(kept) > 20
    assert {"unusable", "alnum", "special", "words", "exact_duplicate"} <= set(rejected["reason"])
    assert not any("<b>" in text or "\0" in text or "\ufffd" in text for text in kept["text"])
