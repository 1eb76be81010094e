"""Files are whole or absent, shards are byte-exact, what is half-written is noticed, and the work store resumes."""

import errno
import hashlib
import io
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
    read_shard,
    read_table,
    shard_bytes,
    write_bytes,
    write_json,
    write_table,
)

ROOT = Path(__file__).parents[2]
SCHEMA = pa.schema([("key", pa.string()), ("score", pa.float64())])
SAMPLES = [
    (f"{number:024x}", {"png": bytes([number]) * (700 + number), "txt": b"a dog", "json": b"{}"}) for number in range(3)
]


def test_a_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_json(path, {"b": 1, "a": "\u00e9"})
    write_json(path, {"b": 2})
    assert path.read_text() == '{\n  "b": 2\n}\n'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the always-full device of Linux")
def test_a_full_disk_says_so_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(Path, "write_bytes", lambda self, payload: Path("/dev/full").write_text("x" * 9))
    with pytest.raises(OSError, match=r"cannot write .*file: No space left on device; free some space") as error:
        write_bytes(path, b"new")
    assert error.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_write_errors_do_not_speak_of_space(tmp_path):
    with pytest.raises(OSError, match=r"cannot write .*x: File name too long$"):
        write_bytes(tmp_path / ("x" * 300), b"")


@pytest.mark.parametrize("rows", [[{"key": "a", "score": 1.0, "more": 2}, {"key": "b"}], []], ids=["rows", "none"])
def test_a_table_has_exactly_the_schemas_columns(tmp_path, rows):
    for name, given in (("list", rows), ("frame", pd.DataFrame(rows))):
        write_table(tmp_path / name, given, SCHEMA)
        table = read_table(tmp_path / name, "dvc repro x")
        assert list(table.columns) == ["key", "score"]
        assert len(table) == len(rows)
    assert (tmp_path / "list").read_bytes() == (tmp_path / "frame").read_bytes()


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
def test_a_missing_column_is_an_error(tmp_path, kind):
    with pytest.raises(ValueError, match=r"t\.parquet: column score is missing"):
        write_table(tmp_path / "t.parquet", kind([{"key": "a"}]), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_table_names_the_command_and_a_cut_one_too(tmp_path):
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


def test_shards_stay_what_they_are():
    """Names of shards are digests of these bytes; a change here renames every shard there is."""
    assert hashlib.sha256(shard_bytes(SAMPLES)).hexdigest() == (
        "1790aafc4420754ffb18fe0c01fbaa492a0cf7f64db980d119f751855b0ce25c"
    )


def test_a_shard_is_read_as_it_was_written_by_us_and_by_webdataset(tmp_path):
    path = tmp_path / "s.tar"
    path.write_bytes(shard_bytes(SAMPLES))
    assert list(read_shard(path)) == SAMPLES
    theirs = webdataset.WebDataset(str(path), shardshuffle=False)
    assert [(row["__key__"], {name: row[name] for name in ("png", "txt", "json")}) for row in theirs] == SAMPLES


def test_a_shard_cut_anywhere_is_noticed(tmp_path):
    path = tmp_path / "s.tar"
    whole = shard_bytes(SAMPLES)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + 512 * -(-last.size // 512)  # behind it there is only padding
    for size in range(0, end, 256):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"s\.tar: not a whole tar shard .* delete it") as error:
            list(read_shard(path))
        assert "\n" not in str(error.value)


def test_hashes_of_directories_see_names_and_contents(tmp_path):
    hashes = set()
    for number, files in enumerate(
        [{"a": b"1", "b/c": b"2"}, {"a": b"2", "b/c": b"1"}, {"a": b"1", "b/d": b"2"}, {"a": b"1"}]
    ):
        for name, payload in files.items():
            write_bytes(tmp_path / str(number) / name, payload)
        hashes.add(file_sha256(tmp_path / str(number)))
    assert len(hashes) == 4
    assert file_sha256(tmp_path / "0/a") == hashlib.sha256(b"1").hexdigest()
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "nothing")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return WorkStore("images", "fingerprint")


def test_the_work_store_keeps_finished_pieces_apart_by_fingerprint(store, tmp_path):
    with store.locked():
        assert store.get("piece") is None
        store.put("piece", b"1")
    assert WorkStore("images", "fingerprint").get("piece") == b"1"
    assert WorkStore("images", "other").get("piece") is None
    assert WorkStore("images", "fingerprint", recipe=1).path == tmp_path / ".dvc/tmp/work/images/recipe-1/fingerprint"
    store.discard()
    assert store.get("piece") is None


def test_pieces_of_other_code_are_not_taken_up_unless_a_recipe_stands_for_it(store, monkeypatch):
    versioned = WorkStore("images", "fingerprint", recipe=1)
    for kept in (store, versioned):
        kept.put("piece", b"1")
    monkeypatch.setattr(storage, "source_hash", lambda program=None: "0" * 64)  # as after an edit
    assert WorkStore("images", "fingerprint").get("piece") is None
    assert WorkStore("images", "fingerprint", recipe=1).get("piece") == b"1"
    assert WorkStore("images", "fingerprint", recipe=2).get("piece") is None


def test_a_second_process_is_kept_out_of_the_work_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = "from synthpairs.core.storage import WorkStore\nwith WorkStore('images', 'fingerprint', recipe=1).locked(): pass"

    def enter():
        return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stderr

    store = WorkStore("images", "fingerprint", recipe=1)
    with store.locked():
        assert f"BlockingIOError: {store.path} is in use by another run of this stage" in enter()
    assert enter() == ""


def test_a_table_that_grows_is_the_table_that_is_written_at_once(tmp_path, monkeypatch):
    schema = pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.binary()})
    rows = [
        {"a": number, "b": None if number % 3 else f"row {number % 50}", "c": b"x" * number} for number in range(100)
    ]
    monkeypatch.setattr(storage, "BATCH_ROWS", 7)
    for name, written in (("rows", rows), ("none", [])):
        storage.write_table(tmp_path / f"{name}-once.parquet", written, schema)
        with storage.TableWriter(tmp_path / f"{name}.parquet", schema) as table:
            for row in written:
                table.add(row | {"further": 1})
        assert (tmp_path / f"{name}.parquet").read_bytes() == (tmp_path / f"{name}-once.parquet").read_bytes()


@pytest.mark.parametrize(("limit", "groups"), [("GROUP_ROWS", 5), ("GROUP_BYTES", 15)])
def test_a_growing_table_is_cut_into_row_groups(tmp_path, monkeypatch, limit, groups):
    schema = pa.schema({"a": pa.int64()})
    monkeypatch.setattr(storage, "BATCH_ROWS", 7)
    monkeypatch.setattr(storage, limit, 21)
    with storage.TableWriter(tmp_path / "a.parquet", schema) as table:
        for number in range(100):
            table.add({"a": number})
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == groups
    assert pd.read_parquet(tmp_path / "a.parquet")["a"].tolist() == list(range(100))


def test_a_growing_table_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), storage.TableWriter(tmp_path / "a.parquet", pa.schema({"a": pa.int64()})):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
