"""Files of captions and their lines; and one row of any format, whole or with what is wrong with it."""

import glob
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from synthpairs.captions.params import Columns, Source

SHOWN = 1000  # characters of a row that cannot be read, which its rejection keeps
LONGEST = 2**22  # bytes of a line, characters of a JSON record: more is no row of captions but a broken file
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


@dataclass(slots=True)
class Row:
    """The cells that a caption is made of, as they stand in the file; `fault` says why there are none.

    `image` is an encoded picture, a mapping with `bytes` or `path`, a path, or None. With a fault `text` is what stood there.
    """

    where: str  # file and line, row, record or sample
    text: Any = None
    source: Any = None
    image: Any = None
    fault: str | None = None


def describe(error: BaseException) -> str:
    """An error in one line of a rejection's detail."""
    return f"{type(error).__name__}: {error}"


def column_names(columns: Columns, text: str) -> dict[str, str]:
    """The columns that are read, by part of a row; `text` is the usual name of the text's."""
    names = {"text": columns.text or text, "source": columns.source, "image": columns.image}
    return {part: name for part, name in names.items() if name is not None}


class Fields:
    """Takes rows out of JSON objects, whose fields no header declares.

    An object without the text's field is a row at fault, one without the others' has none; `check` finds columns that no
    object of the file has. `read` turns the text's field into the text.
    """

    def __init__(
        self, path: Path, key: str, columns: Columns, text: str, read: Callable[[Any], Any] = lambda cell: cell
    ) -> None:
        self.path, self.key, self.read = path, key, read
        self.names = column_names(columns, text)
        self.missing = set(self.names)  # parts that no object had so far
        self.known: list[str] | None = None  # fields of the first object

    def row(self, record: Any, where: str) -> Row:
        """The row of a parsed object; a fault when it is none, or its text cannot be had."""
        try:
            if not isinstance(record, dict):
                raise TypeError(f"an object is needed, not {type(record).__name__}")
            if self.known is None:
                self.known = list(record)
            self.missing -= {part for part in self.missing if self.names[part] in record}
            text = self.read(record[self.names["text"]])
        except (TypeError, KeyError, ValueError) as error:
            return Row(where, text=json.dumps(record, ensure_ascii=False)[:SHOWN], fault=describe(error))
        cells = {part: record.get(name) for part, name in self.names.items() if part != "text"}
        return Row(where, text, **cells)

    def check(self) -> None:
        """ValueError when the file had objects and none of them has a column that params.yaml names."""
        if self.known is not None and self.missing:
            part = min(self.missing)
            raise ValueError(
                f"{self.key}.columns.{part}: no record of {self.path} has the field {self.names[part]!r}; "
                f"the first has {', '.join(self.known) or 'none'}"
            )


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
