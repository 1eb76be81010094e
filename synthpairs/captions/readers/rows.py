"""Rows of caption files in any format, and access to the files and lines of a source."""

import glob
import gzip
import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from synthpairs.captions.params import Columns, Source
from synthpairs.core.config import ParamsError
from synthpairs.core.errors import error_line

log = logging.getLogger(__name__)
MAX_SHOWN = 1000  # characters of a faulty row that are kept
MAX_LINE = 2**22  # characters of a line that are read
_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff|(?:[^\0]\0){2}|(?:\0[^\0]){2}", re.DOTALL)  # its mark, or two ASCII characters
_SUFFIXES = {
    "llava": (".json",),
    "coco": (".json",),
    "karpathy": (".json",),
    "sbu": (".json",),
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

    `text` may be a list, the captions of one image. `image` is an encoded image, a mapping with `bytes` or `path`, a path, or
    None.
    """

    where: str  # file and line, row, record or sample
    text: Any = None
    source: Any = None
    image: Any = None
    fault: str | None = None


def until_broken(rows: Iterator[Row], where: str) -> Iterator[Row]:
    """The rows of a parser up to its first error, which becomes a faulty row; errors about params.yaml and of the system rise."""
    try:
        yield from rows
    except ParamsError:
        raise
    except Exception as error:  # the libraries that read the formats raise many types on broken files
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # of the operating system, such as a missing permission
            raise
        yield Row(f"{where} from here on", "", fault=error_line(error))


def column_names(columns: Columns, text: str) -> dict[str, str]:
    """Names of the columns to read, by part of a row; `text` is the default of the text column."""
    names = {"text": columns.text or text, "source": columns.source, "image": columns.image}
    return {part: name for part, name in names.items() if name is not None}


def check_columns(names: dict[str, str], known: Sequence[str], path: Path, key: str) -> None:
    """ParamsError for a name that is not among the columns of a file, or there more than once."""
    for part, name in names.items():
        if (count := known.count(name)) != 1:
            found = f"{count} columns" if count else "no column"
            raise ParamsError(
                [f"{key}.columns.{part}: {path} has {found} {name!r}; it has {', '.join(known) or 'none'}"]
            )


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
        """ParamsError for a column that no object of the file has, unless there was none."""
        if self.known is not None and self.missing:
            part = min(self.missing)
            raise ParamsError(
                [f"{self.key}.columns.{part}: no record of {self.path} has the field {self.names[part]!r}; "
                 f"the first has {', '.join(self.known) or 'none'}"]
            )  # fmt: skip


def source_files(source: Source, key: str) -> list[Path]:
    """Files of `source.path`, sorted: itself, matches of a glob, or a directory's files with the format's suffix (and .gz).

    Hidden files are left out, such as the `._NAME` that macOS writes beside a file. For the format huggingface they are
    directories. FileNotFoundError, beginning with `key`, if there are none.
    """
    path = Path(source.path)
    if source.format != "huggingface" and path.is_dir():
        suffixes = tuple(suffix + gz for suffix in _SUFFIXES[source.format] for gz in ("", ".gz"))
        found = [file for file in path.iterdir() if file.name.endswith(suffixes) and file.is_file()]
        files = [file for file in found if not file.name.startswith(".")]
        if len(files) < len(found):
            log.info("%s: %d hidden files are left out", path, len(found) - len(files))
        kind = f"file ending in {' or '.join(suffixes)}"
    else:
        is_kind, kind = (Path.is_dir, "directory") if source.format == "huggingface" else (Path.is_file, "file")
        matches = [path] if is_kind(path) else map(Path, glob.glob(source.path, recursive=True))
        files = [file for file in matches if is_kind(file)]
    if not files:
        raise FileNotFoundError(f"{key}.path: there is no {kind} at {source.path!r} (a path, or a glob of paths)")
    return sorted(files)


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressed if its name ends in .gz. ParamsError for text in UTF-16."""
    file: gzip.GzipFile | io.BufferedReader = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    if _UTF16.match(file.peek(4)):
        raise ParamsError([f"{path} is UTF-16; convert it with iconv -f UTF-16 -t UTF-8"])
    return file  # type: ignore[return-value]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Lines of a text file with numbers from 1 and line ends (\n, \r\n or \r), without byte order mark.

    Bytes that are not UTF-8 become replacement characters; of a line at most MAX_LINE characters are read.
    """
    with open_file(path) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
        number = 0
        while line := text.readline(MAX_LINE):
            number += 1
            end = line[-1]
            while end not in "\r\n" and (rest := text.readline(MAX_LINE)):
                end = rest[-1]
            yield number, line
