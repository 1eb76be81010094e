"""Finding a source's files, and reading their lines whatever is in them."""

import glob
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from synthpairs.captions.params import Source

LONGEST = 2**22  # bytes of a line: more is no row of captions but a broken file
_BOM = b"\xef\xbb\xbf"
_ENDINGS = {
    "llava": (".json",),
    "tsv": (".tsv",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
    "text": (".txt",),
    "webdataset": (".tar",),
}


def files_of(source: Source, key: str) -> list[Path]:
    """The files of `source.path`, sorted: itself, a directory's with the format's ending (maybe .gz), or a glob's.

    With the format huggingface they are directories. FileNotFoundError begins with `key` when there is none.
    """
    path = Path(source.path)
    if source.format == "huggingface":
        found, wanted = [path] if path.is_dir() else _matches(source.path, Path.is_dir), "directory"
    elif path.is_dir():
        endings = tuple(ending + more for ending in _ENDINGS[source.format] for more in ("", ".gz"))
        found = [file for file in path.iterdir() if file.name.endswith(endings) and file.is_file()]
        wanted = f"file ending in {' or '.join(endings)}"
    else:
        found, wanted = [path] if path.is_file() else _matches(source.path, Path.is_file), "file"
    if not found:
        raise FileNotFoundError(f"{key}.path: there is no {wanted} at {source.path!r} (a path, or a glob of paths)")
    return sorted(found)


def _matches(pattern: str, wanted: Callable[[Path], bool]) -> list[Path]:
    return [path for path in map(Path, glob.glob(pattern, recursive=True)) if wanted(path)]


def opened(path: Path) -> IO[bytes]:
    """A file's bytes, those within when its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """A text file's lines with their numbers from 1 and their line ends, without a byte order mark.

    Bytes that are not UTF-8 become replacement characters, and what a line has beyond LONGEST is skipped.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(LONGEST):
            number += 1
            end = line[-1:]
            while end != b"\n" and (rest := file.readline(LONGEST)):
                end = rest[-1:]
            yield number, (line.removeprefix(_BOM) if number == 1 else line).decode("utf-8", "replace")
