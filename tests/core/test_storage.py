"""Writes are atomic, tables and shards byte-exact, truncated files are errors, and work stores resume."""

import errno
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from synthpairs.core import storage
from synthpairs.core.storage import (
    WorkStore,
    file_sha256,
    locate_shard,
    read_shard,
    read_table,
    shard_bytes,
    write_bytes,
    write_table,
)
from tests.conftest import run_python

ROOT = Path(__file__).parents[2]
SCHEMA = pa.schema([("key", pa.string()), ("score", pa.float64())])
SAMPLES = [
    (f"{number:024x}", {"png": bytes([number]) * (700 + number), "txt": b"a dog", "json": b"{}"}) for number in range(3)
]


def test_a_write_replaces_the_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "new" / "file.json"
    storage.write_json(path, {"b": 1, "a": "\u00e9"})
    storage.write_json(path, {"b": 2})
    assert path.read_text() == '{\n  "b": 2\n}\n'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the always-full device of Linux")
def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(OSError, match=r"cannot write .*x: File name too long$"):
        write_bytes(tmp_path / ("x" * 300), b"")
    full = os.open("/dev/full", os.O_WRONLY)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode: os.fdopen(full, mode))
        with pytest.raises(OSError, match=r"cannot write .*file: No space left on device; free some space") as error:
            write_bytes(path, b"new")
    assert error.value.errno == errno.ENOSPC
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of a file's size ends the process")
@pytest.mark.parametrize("limit", [1, 2**12, 2**21])
def test_a_table_on_a_full_disk_names_its_file_and_leaves_none(tmp_path, limit):
    """A limit of the files' size stands for the disk: a write is cut there as well, and the next one fails."""
    code = """
        import os
        from pathlib import Path
        import pyarrow as pa
        from synthpairs.core.storage import TableWriter
        with TableWriter(Path("out/t.parquet"), pa.schema([("key", pa.binary())])) as table:
            for _ in range(70):
                table.add({"key": os.urandom(2**16)})
    """
    done = run_python(code, limit, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] cannot write out/t.parquet: File too large"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_table_of_wrong_rows_leaves_no_file(tmp_path):
    with pytest.raises(pa.ArrowException), storage.TableWriter(tmp_path / "t.parquet", SCHEMA) as table:
        table.add({"key": "a", "score": "high"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [[{"key": "a", "score": 1.0, "more": 2}, {"key": "b"}], []], ids=["rows", "none"])
def test_a_table_has_exactly_the_schemas_columns(tmp_path, rows):
    for name, values in (("list", rows), ("frame", pd.DataFrame(rows))):
        write_table(tmp_path / name, values, SCHEMA)
        table = read_table(tmp_path / name, "dvc repro x")
        assert (list(table.columns), len(table)) == (["key", "score"], len(rows))
    assert (tmp_path / "list").read_bytes() == (tmp_path / "frame").read_bytes()


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
def test_a_missing_column_is_an_error(tmp_path, kind):
    with pytest.raises(ValueError, match=r"t\.parquet: column score is missing"):
        write_table(tmp_path / "t.parquet", kind([{"key": "a"}]), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_errors_for_missing_and_truncated_tables_name_the_command(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(FileNotFoundError, match=r"t\.parquet is missing: run `dvc repro x` first"):
        read_table(path, "dvc repro x")
    write_table(path, [{"key": "a", "score": 1.0}], SCHEMA)
    whole = path.read_bytes()
    for size in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"t\.parquet: not a whole Parquet table .* run `dvc repro x` again"):
            read_table(path, "dvc repro x")


def test_equal_samples_make_equal_shards(tmp_path):
    first = shard_bytes(SAMPLES)
    assert shard_bytes((key, dict(reversed(members.items()))) for key, members in SAMPLES) == first
    assert shard_bytes(reversed(SAMPLES)) != first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in tar} == {(0, 0, 0, "", 0o644)}


def test_bytes_of_shards_do_not_change():
    """DVC's hashes of all stored shards depend on them."""
    sha256 = "1790aafc4420754ffb18fe0c01fbaa492a0cf7f64db980d119f751855b0ce25c"
    assert hashlib.sha256(shard_bytes(SAMPLES)).hexdigest() == sha256


def test_we_and_webdataset_read_what_was_written(tmp_path):
    path = tmp_path / "s.tar"
    path.write_bytes(shard_bytes(SAMPLES))
    assert list(read_shard(path)) == SAMPLES
    theirs = webdataset.WebDataset(str(path), shardshuffle=False)
    assert [(row["__key__"], {name: row[name] for name in ("png", "txt", "json")}) for row in theirs] == SAMPLES


def test_a_shard_truncated_anywhere_is_an_error(tmp_path):
    path = tmp_path / "s.tar"
    whole = shard_bytes(SAMPLES)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + 512 * -(-last.size // 512)  # only padding after it
    for size in range(0, end, 256):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"s\.tar: not a whole tar shard .* delete it") as error:
            list(read_shard(path))
        assert "\n" not in str(error.value)


def test_a_shard_with_an_impossible_size_is_an_error(tmp_path):
    path = tmp_path / "s.tar"
    entry = tarfile.TarInfo("b.png")
    for entry.size in (-512, 2**62):
        path.write_bytes(shard_bytes([("a", {"txt": b"a dog"})])[:1024] + entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        for read in (read_shard, locate_shard):
            with pytest.raises(
                ValueError, match=rf"s\.tar: not a whole tar shard \(a header says .* {entry.size} bytes\)"
            ):
                list(read(path))


def test_hashes_of_folders_depend_on_names_and_contents(tmp_path):
    folders = [{"a": b"1", "b/c": b"2"}, {"a": b"2", "b/c": b"1"}, {"a": b"1", "b/d": b"2"}, {"a": b"1"}]
    for number, files in enumerate(folders):
        for name, payload in files.items():
            write_bytes(tmp_path / str(number) / name, payload)
    assert len({file_sha256(tmp_path / str(number)) for number in range(4)}) == 4
    assert file_sha256(tmp_path / "0/a") == hashlib.sha256(b"1").hexdigest()
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "nothing")


@pytest.mark.parametrize("recipe", [None, 1])
def test_pieces_of_the_same_fingerprint_and_code_or_recipe_are_reused(recipe, project_root, edit_code):
    work = project_root() / ".dvc/tmp/work/images"
    store = WorkStore("images", "f", recipe)
    with store.locked():
        assert store.get("piece") is None
        store.put("piece", b"1")
    assert recipe is None or store.path == work / "recipe-1/f"
    assert WorkStore("images", "f", recipe).get("piece") == b"1"
    assert WorkStore("images", "other", recipe).get("piece") is WorkStore("images", "f", 2).get("piece") is None
    edit_code()
    assert WorkStore("images", "f", recipe).get("piece") == (None if recipe is None else b"1")
    store.discard()
    assert store.get("piece") is None


@pytest.mark.parametrize(
    "damaged", [b"", b"[1, 2", b"\0" * 9, b"[1]", b"3", b"null", b'{"a": 1}', b"\xff", b'["a\0"]'], ids=repr
)
def test_a_damaged_json_piece_is_none(project_root, caplog, damaged):
    project_root()
    store = WorkStore("scores", "f")

    def stored():
        return store.get_json("piece.json", lambda value: len(value) == 2)

    assert (stored(), caplog.messages) == (None, [])
    assert store.put_json("piece.json", (1, 2)) == stored() == [1, 2]
    (store.path / "piece.json").write_bytes(damaged)
    assert stored() is None
    assert caplog.messages == [f"{store.path / 'piece.json'} is damaged and made again"]


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []

    def recorded(name, function):
        return lambda *arguments: calls.append(name) or function(*arguments)

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    write_bytes(tmp_path / "file", b"1")
    write_table(tmp_path / "table", [{"key": "a", "score": 1.0}], SCHEMA)
    with storage.TableWriter(tmp_path / "rows", SCHEMA) as table:
        table.add({"key": "a"})
    assert calls == ["fsync", "replace"] * 3


def test_an_empty_or_cut_json_file_is_named_with_its_command(tmp_path):
    path = tmp_path / "generator.json"
    storage.write_json(path, {"inputs": {"format": "png"}, "device": "cpu"})
    assert storage.read_json(path, "dvc repro images", ["inputs"])["device"] == "cpu"
    for text in ("", path.read_text()[:20], "[]", "\0" * 30, '{"device": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"generator\.json: .*run `dvc repro images` again"):
            storage.read_json(path, "dvc repro images", ["inputs"])


def test_a_second_process_cannot_enter_the_work_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = "from synthpairs.core.storage import WorkStore\nwith WorkStore('images', 'f', recipe=1).locked(): pass"

    def enter():
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stderr

    store = WorkStore("images", "f", recipe=1)
    with store.locked():
        assert f"BlockingIOError: {store.path} is in use" in enter()
    assert enter() == ""


def test_table_writer_gives_the_bytes_of_write_table(tmp_path, monkeypatch):
    schema = pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.binary()})
    texts = [None if number % 3 else f"row {number % 50}" for number in range(100)]
    rows = [{"a": number, "b": text, "c": b"x" * number} for number, text in enumerate(texts)]
    monkeypatch.setattr(storage, "BATCH_ROWS", 7)
    for some in (rows, []):
        write_table(tmp_path / "at_once.parquet", some, schema)
        with storage.TableWriter(tmp_path / "by_row.parquet", schema) as table:
            for row in some:
                table.add(row | {"further": 1})
        assert (tmp_path / "by_row.parquet").read_bytes() == (tmp_path / "at_once.parquet").read_bytes()


@pytest.mark.parametrize(("limit", "groups"), [("GROUP_ROWS", 5), ("GROUP_BYTES", 15)])
def test_table_writer_limits_row_groups(tmp_path, monkeypatch, limit, groups):
    monkeypatch.setattr(storage, "BATCH_ROWS", 7)
    monkeypatch.setattr(storage, limit, 21)
    with storage.TableWriter(tmp_path / "a.parquet", pa.schema({"a": pa.int64()})) as table:
        for number in range(100):
            table.add({"a": number})
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == groups
    assert pd.read_parquet(tmp_path / "a.parquet")["a"].tolist() == list(range(100))


def test_row_groups_of_large_pictures_are_small(tmp_path):
    with storage.TableWriter(tmp_path / "a.parquet", pa.schema({"a": pa.binary()})) as table:
        for _ in range(130):
            table.add({"a": bytes(2**20)})
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [64, 64, 2]


def test_a_failed_table_writer_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), storage.TableWriter(tmp_path / "a.parquet", SCHEMA):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
