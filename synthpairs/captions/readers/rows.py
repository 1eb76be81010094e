"""Rows of caption files in any format, and access to the files and lines of a source."""

import glob
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from synthpairs.captions.params import Columns, Source
from synthpairs.core.errors import error_line

MAX_SHOWN = 1000  # characters of a faulty row that are kept
MAX_LINE = 2**22  # bytes of a line that are read
_BOM = b"\xef\xbb\xbf"
_SUFFIXES = {
    "llava": (".json",),
    "tsv": (".tsv",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
    "text": (".txt",),
    "webdataset": (".tar",),
}


@dataclass(slots=True)
class Row:
    """Cells of a caption as read from the file, or a fault and the beginning of the faulty text.

    `image` is an encoded image, a mapping with `bytes` or `path`, a path, or None.
    """

    where: str  # file and line, row, record or sample
    text: Any = None
    source: Any = None
    image: Any = None
    fault: str | None = None


def column_names(columns: Columns, text: str) -> dict[str, str]:
    """Names of the columns to read, by part of a row; `text` is the default of the text column."""
    names = {"text": columns.text or text, "source": columns.source, "image": columns.image}
    return {part: name for part, name in names.items() if name is not None}


class Fields:
    """Converts the JSON objects of a file to rows.

    An object without the text field is a faulty row; other fields may be missing. `check` raises for fields that no object
    has. `read` converts the text field to the text.
    """

    def __init__(
        self, path: Path, key: str, columns: Columns, text: str, read: Callable[[Any], Any] = lambda cell: cell
    ) -> None:
        self.path, self.key, self.read = path, key, read
        self.names = column_names(columns, text)
        self.missing = set(self.names)  # parts that no object has had
        self.known: list[str] | None = None  # fields of the first object

    def row(self, record: Any, where: str) -> Row:
        """Row of a parsed JSON value; faulty if it is no object or has no text."""
        try:
            if not isinstance(record, dict):
                raise TypeError(f"an object is needed, not {type(record).__name__}")
            if self.known is None:
                self.known = list(record)
            self.missing -= {part for part in self.missing if self.names[part] in record}
            text = self.read(record[self.names["text"]])
        except (TypeError, KeyError, ValueError) as error:
            return Row(where, text=json.dumps(record, ensure_ascii=False)[:MAX_SHOWN], fault=error_line(error))
        cells = {part: record.get(name) for part, name in self.names.items() if part != "text"}
        return Row(where, text, **cells)

    def check(self) -> None:
        """ValueError for a column that no object of the file has, unless there was none."""
        if self.known is not None and self.missing:
            part = min(self.missing)
            raise ValueError(
                f"{self.key}.columns.{part}: no record of {self.path} has the field {self.names[part]!r}; "
                f"the first has {', '.join(self.known) or 'none'}"
            )


def source_files(source: Source, key: str) -> list[Path]:
    """Files of `source.path`, sorted: itself, matches of a glob, or a directory's files with the format's suffix (and .gz).

    For the format huggingface they are directories. FileNotFoundError, beginning with `key`, if there are none.
    """
    path = Path(source.path)
    if source.format != "huggingface" and path.is_dir():
        suffixes = tuple(suffix + gz for suffix in _SUFFIXES[source.format] for gz in ("", ".gz"))
        files = [file for file in path.iterdir() if file.name.endswith(suffixes) and file.is_file()]
        kind = f"file ending in {' or '.join(suffixes)}"
    else:
        is_kind, kind = (Path.is_dir, "directory") if source.format == "huggingface" else (Path.is_file, "file")
        matches = [path] if is_kind(path) else map(Path, glob.glob(source.path, recursive=True))
        files = [file for file in matches if is_kind(file)]
    if not files:
        raise FileNotFoundError(f"{key}.path: there is no {kind} at {source.path!r} (a path, or a glob of paths)")
    return sorted(files)


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressed if its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file with numbers from 1 and line ends, without byte order mark.

    Bytes that are not UTF-8 become replacement characters; of a line at most MAX_LINE bytes are read.
    """
    with open_file(path) as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            end = line[-1:]
            while end != b"\n" and (rest := file.readline(MAX_LINE)):
                end = rest[-1:]
            yield number, (line.removeprefix(_BOM) if number == 1 else line).decode("utf-8", "replace")
