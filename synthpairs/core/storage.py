"""Atomic file writes, byte-exact Parquet tables and tar shards, hashes, and the work store with which stages resume."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import shutil
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synthpairs.core.source import source_hash
from synthpairs.core.tar import read_member, tar_members

log = logging.getLogger(__name__)
T = TypeVar("T")
BATCH_ROWS = 64  # Python rows that TableWriter collects before it converts them: 40 MB of pictures of 600 KB
GROUP_ROWS, GROUP_BYTES = 2**18, 2**26  # size of a row group at which TableWriter writes it
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DISK = _FULL | {errno.EFBIG, errno.EIO, errno.EROFS}  # errors of writing, which name no file
RECIPE = "recipe-"  # prefix of the WorkStore folders that are named by a recipe's version


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Atomic write: yields a file under a temporary name, which is renamed when it is on the disk, or removed after an error.

    OSError names the file when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file under the final name
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if not isinstance(error, OSError) or (error.errno not in _DISK and error.filename != str(partial)):
            raise  # not of this file
        space = "; free some space and run the command again" if error.errno in _FULL else ""
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}{space}") from None


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file atomically: under a temporary name that is then renamed."""
    with atomic_file(path) as file:
        file.write(payload)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, indented by two spaces: equal values give equal bytes."""
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def write_table(path: Path, rows: pd.DataFrame | list[dict], schema: pa.Schema) -> None:
    """Write rows as Parquet with exactly the schema's columns; ValueError for a column that no row has.

    Cells that a row lacks become null, columns outside the schema are dropped.
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
    """Context manager that writes a Parquet file row by row in bounded memory, and renames it into place at the end.

    Rows that fit into one row group give the same bytes as `write_table`.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._open = contextlib.ExitStack()
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.Table] = []
        self._collected = self._size = 0  # rows and bytes of the batches
        self._groups = 0

    def __enter__(self) -> "TableWriter":
        file = self._open.enter_context(atomic_file(self.path))
        self._file = self._open.enter_context(pq.ParquetWriter(file, self.schema, compression="zstd"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        with self._open:
            if error is not None:
                raise error  # which removes the file
            self._pack()
            self._flush(always=not self._groups)

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; cells that it lacks become null, columns outside the schema are dropped."""
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._pack()
            if self._collected >= GROUP_ROWS or self._size >= GROUP_BYTES:
                self._flush()

    def _pack(self) -> None:
        batch = pa.Table.from_pylist(self._rows, schema=self.schema)
        self._batches.append(batch)
        self._collected, self._size = self._collected + batch.num_rows, self._size + batch.nbytes
        self._rows = []

    def _flush(self, always: bool = False) -> None:
        table = pa.concat_tables(self._batches).combine_chunks()
        if len(table) or always:
            self._file.write_table(table)
            self._groups += 1
        self._batches = []
        self._collected = self._size = 0


def read_table(path: Path, command: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A Parquet table, or these `columns` of it, as a DataFrame; errors for a missing or broken file name the `command` to run.

    Name the columns of a table with pictures: all of them may not fit into memory.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `{command}` first")
    try:
        return pd.read_parquet(path, columns=columns and list(columns))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a whole Parquet table ({error}); delete it and run `{command}` again") from None


def read_json(path: Path, command: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """A JSON object that has these keys; FileNotFoundError and ValueError name the file and the command that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `{command}` first")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run `{command}` again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object; delete it and run `{command}` again")
    if missing := [key for key in keys if key not in value]:
        raise ValueError(f"{path}: {missing[0]} is missing; run `{command}` again")
    return value


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, or of the relative paths and contents of all files in a folder; FileNotFoundError if missing."""
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
                entry = tarfile.TarInfo(f"{key}.{extension}")  # by default mtime, uid, gid are 0 and the mode is 0644
                entry.size = len(payload)
                tar.addfile(entry, io.BytesIO(payload))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of bytes in a file, such as a member of a tar."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The bytes of the range."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def read_bytes(source: Slice | bytes) -> bytes:
    """The bytes of a slice, or the given bytes."""
    return source.read() if isinstance(source, Slice) else source


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, {extension: payload}) of a tar shard; ValueError for a truncated one (after its whole samples) or no tar."""
    return _samples(path, read_member)


def locate_shard(path: Path) -> Iterator[tuple[str, dict[str, Slice]]]:
    """(key, {extension: slice}) of a tar shard, without reading the payloads; errors as read_shard."""
    return _samples(path, lambda file, entry: Slice(path, entry.offset_data, entry.size))


def _samples(path: Path, read: Callable[[IO[bytes], tarfile.TarInfo], T]) -> Iterator[tuple[str, dict[str, T]]]:
    try:
        with path.open("rb") as file:
            key = ""
            members: dict[str, T] = {}
            for entry in filter(None, tar_members(file)):
                name, _, extension = entry.name.partition(".")
                if members and name != key:
                    yield key, members
                    members = {}
                key, members[extension] = name, read(file, entry)
            if members:
                yield key, members
    except tarfile.TarError as error:
        raise ValueError(f"{path}: not a whole tar shard ({error}); delete it and run `dvc repro` again") from None


def work_folder() -> Path:
    """Root folder of all work stores; under `dvc exp run --temp` that of the project, not of its copy."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp/work"


def code_folder(program: str | None = None) -> str:
    """Name of the folder for results of a program's present source code: the beginning of its `source_hash`."""
    return source_hash(program)[:16]


class WorkStore:
    """Cache of a stage's finished pieces outside the outs that DVC deletes, so that a killed run resumes.

    Pieces are reused under the same `fingerprint`, of all data and params that they depend on, and the same code: the folder is
    named by the hash of what a `program` imports, by default of the running one, or, where recomputing is too expensive, by the
    version of a `recipe`, which must be raised when its results change. `python -m synthpairs clean` removes old stores.

    A lock excludes other processes, such as the orphan of a killed `dvc repro`. Its holder alone writes; workers send it
    their results. Some network disks ignore locks, so two machines that share one must not run the same stage at once.
    """

    def __init__(self, stage: str, fingerprint: str, recipe: int | None = None, program: str | None = None) -> None:
        code = code_folder(program) if recipe is None else f"{RECIPE}{recipe}"
        self.path = work_folder() / stage / code / fingerprint

    @contextlib.contextmanager
    def locked(self, wait: bool = False) -> Iterator["WorkStore"]:
        """Lock the store; when another process holds it, wait for it or raise BlockingIOError."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise BlockingIOError(
                    f"{self.path} is in use by another run of this stage; wait for it or end it"
                ) from None
            yield self

    def get(self, name: str) -> bytes | None:
        """A finished piece, or None."""
        path = self.path / name
        return path.read_bytes() if path.exists() else None

    def get_json(self, name: str, whole: Callable[..., bool], *expected: object) -> Any:
        """The value of a finished JSON piece; None where there is none, or it is cut or not `whole(value, *expected)`."""
        payload = self.get(name)
        if payload is None:
            return None
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):  # of `whole` too
            value = json.loads(payload)
            if whole(value, *expected):
                return value
        log.warning("%s is damaged and made again", self.path / name)
        return None

    def put(self, name: str, payload: bytes) -> None:
        """Store a finished piece."""
        write_bytes(self.path / name, payload)

    def put_json(self, name: str, value: Any) -> Any:
        """Store a finished piece as JSON; returns its value as `get_json` will."""
        payload = json.dumps(value).encode()
        self.put(name, payload)
        return json.loads(payload)

    def discard(self) -> None:
        """Delete the store."""
        remove_store(self.path)


def remove_store(path: Path) -> None:
    """Delete a work store's folder and the folders above it that become empty."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty
        while (path := path.parent) != work_folder():
            path.rmdir()
