"""Files that are whole or absent, byte-exact tar shards, and the work store that lets a killed stage resume."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthpairs.core.source import source_hash

T = TypeVar("T")
END_OF_TAR = 1024  # zero bytes that close every tar
BATCH_ROWS = 1024  # Python rows that TableWriter holds before it packs them
GROUP_ROWS, GROUP_BYTES = 2**18, 2**26  # of a row group, at which TableWriter writes it
RECIPE = "recipe-"  # and its version: a folder of WorkStore


def write_bytes(path: Path, payload: bytes) -> None:
    """Write the file under another name, then move it into place, so no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(payload)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        space = "; free some space and run the command again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}{space}") from None
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Sorted keys, two spaces, final newline: equal values give equal bytes."""
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def write_table(path: Path, rows: pd.DataFrame | list[dict], schema: pa.Schema) -> None:
    """Write rows as Parquet with exactly the schema's columns.

    A column that no row has is a ValueError; a cell that a row lacks becomes null; further columns are dropped.
    """
    present = set(rows.columns) if isinstance(rows, pd.DataFrame) else {name for row in rows for name in row}
    missing = [name for name in schema.names if name not in present]
    if not len(rows):
        table = schema.empty_table()
    elif missing:
        raise ValueError(f"{path}: column {missing[0]} is missing")
    elif isinstance(rows, pd.DataFrame):
        table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    else:
        table = pa.Table.from_pylist(rows, schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


class TableWriter:
    """A Parquet file that grows by row groups, so that it is never held as a whole; in place when the block ends well.

    Rows that fit into one group give the bytes that `write_table` gives.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._partial = path.with_name(f".{path.name}.partial")
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.Table] = []
        self._groups = 0

    def __enter__(self) -> "TableWriter":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(self._partial, self.schema, compression="zstd")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._pack()
            self._flush(always=not self._groups)
        self._file.close()
        if kind is None:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink()

    def add(self, row: dict[str, Any]) -> None:
        """One more row, of which the schema's columns are written; what it lacks is null."""
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._pack()
            full = sum(batch.num_rows for batch in self._batches) >= GROUP_ROWS
            if full or sum(batch.nbytes for batch in self._batches) >= GROUP_BYTES:
                self._flush()

    def _pack(self) -> None:
        self._batches.append(pa.Table.from_pylist(self._rows, schema=self.schema))
        self._rows = []

    def _flush(self, always: bool = False) -> None:
        table = pa.concat_tables(self._batches).combine_chunks()
        if len(table) or always:
            self._file.write_table(table)
            self._groups += 1
        self._batches = []


def read_table(path: Path, command: str) -> pd.DataFrame:
    """A Parquet table as a DataFrame; `command` is what to run when it is missing or broken."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `{command}` first")
    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet table ({error}); delete it and run `{command}` again") from None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, or of a directory's file names and contents in sorted order; FileNotFoundError without one."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for entry in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        total.update(f"{entry.relative_to(path).as_posix()}\0{file_sha256(entry)}\n".encode())
    return total.hexdigest()


def shard_bytes(samples: Iterable[tuple[str, dict[str, bytes]]]) -> bytes:
    """A WebDataset tar of (key, {extension: payload}) samples in the given order; equal samples give equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            for extension, payload in sorted(members.items()):
                entry = tarfile.TarInfo(f"{key}.{extension}")  # mtime, uid, gid are 0 and the mode 0644 by default
                entry.size = len(payload)
                tar.addfile(entry, io.BytesIO(payload))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes within a file, such as a member of a tar."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def read_bytes(source: Slice | Path | bytes) -> bytes:
    """What lies there; bytes are themselves."""
    if isinstance(source, Slice):
        return source.read()
    return source.read_bytes() if isinstance(source, Path) else source


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a tar shard; ValueError naming the file when it is cut short (after what is whole) or no tar."""

    def payload(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
        file = tar.extractfile(entry)
        return file.read() if file else b""

    return _samples(path, payload)


def locate_shard(path: Path) -> Iterator[tuple[str, dict[str, Slice]]]:
    """Where in a tar shard its samples lie; errors as read_shard's."""
    return _samples(path, lambda tar, entry: Slice(path, entry.offset_data, entry.size))


def _samples(path: Path, taken: Callable[[tarfile.TarFile, tarfile.TarInfo], T]) -> Iterator[tuple[str, dict[str, T]]]:
    try:
        with tarfile.open(path, "r:") as tar:
            key = ""
            members: dict[str, T] = {}
            for entry in tar:
                name, _, extension = entry.name.partition(".")
                if members and name != key:
                    yield key, members
                    members = {}
                key, members[extension] = name, taken(tar, entry)
            if members:
                yield key, members
            assert tar.fileobj
            tar.fileobj.seek(tar.offset)  # tarfile takes a cut between two members for the end: only the mark tells
            if tar.fileobj.read(END_OF_TAR) != bytes(END_OF_TAR):
                raise EOFError("no end of archive")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path}: not a whole tar shard ({error}); delete it and run `dvc repro` again") from None


def work_folder() -> Path:
    """Where all work stores lie; under `dvc exp run --temp` in the project, not in its copy."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp/work"


def code_folder(program: str | None = None) -> str:
    """The folder for what a program's source shaped, as `source_hash` has it."""
    return source_hash(program)[:16]


class WorkStore:
    """Finished pieces of a stage's work, kept outside the outs that DVC deletes, so that a killed run resumes.

    `fingerprint` is of all data and params that shape the pieces, so pieces of another configuration are never taken up. Nor
    are those of other code: they lie under the hash of the program's source, or, where making them anew is too dear, under the
    version of their `recipe`, which must be raised when its results change. `python -m synthpairs clean` frees old ones.

    A lock keeps a second process (say, the orphan of a killed `dvc repro`) out. The process that holds it is
    the only one that writes: workers, here or on other machines, send it their results. Some network disks do not pass
    locks on, so two machines that share one must not run the same stage at once.
    """

    def __init__(self, stage: str, fingerprint: str, recipe: int | None = None) -> None:
        code = code_folder() if recipe is None else f"{RECIPE}{recipe}"
        self.path = work_folder() / stage / code / fingerprint

    @contextlib.contextmanager
    def locked(self) -> Iterator["WorkStore"]:
        """Hold the store; BlockingIOError names the directory when another process works in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(
                    f"{self.path} is in use by another run of this stage; wait for it or end it"
                ) from None
            yield self

    def get(self, name: str) -> bytes | None:
        """A finished piece, or None."""
        path = self.path / name
        return path.read_bytes() if path.exists() else None

    def put(self, name: str, payload: bytes) -> None:
        """Store a finished piece."""
        write_bytes(self.path / name, payload)

    def discard(self) -> None:
        """Remove the store, once its pieces are in the stage's outs."""
        remove_store(self.path)


def remove_store(path: Path) -> None:
    """Delete a work store's directory, and the ones above it that are empty then."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty
        while (path := path.parent) != work_folder():
            path.rmdir()
