"""Readers of plain text, TSV and CSV."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import MAX_SHOWN, Row, check_columns, column_names, lines
from synthpairs.core.config import ParamsError
from synthpairs.core.errors import error_line


class _Record(NamedTuple):
    number: int  # of its first line
    cells: list[str]
    raw: str = ""  # the line, if faulty
    fault: str | None = None


def read_text(path: Path, source: Source, key: str) -> Iterator[Row]:
    """One caption per non-blank line; there are no columns."""
    for number, line in lines(path):
        if line.strip():
            yield Row(f"{path} line {number}", line.rstrip("\r\n"))


def read_tsv(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Tab-separated cells without quoting; the default column of captions is the first, as in CC3M."""
    split = ((number, line.rstrip("\r\n")) for number, line in lines(path) if line.strip(" \r\n"))
    return _rows((_Record(number, line.split("\t")) for number, line in split), path, source, key, "0")


def read_csv(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Cells as parsed by csv in strict mode; the default column of captions is `text`."""
    return _rows(_csv_records(path), path, source, key, "text")


def _csv_records(path: Path) -> Iterator[_Record]:
    """Records of one or several lines. After a faulty record, parsing resumes at its second line, because an unclosed
    quote may have consumed any number of good records.
    """
    rest = lines(path)
    returned: deque[tuple[int, str]] = deque()  # to be parsed again
    consumed: list[tuple[int, str]] = []  # of the current record

    def feed() -> Iterator[str]:
        while line := returned.popleft() if returned else next(rest, None):
            consumed.append(line)
            yield line[1]

    reader = csv.reader(feed(), strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:  # also for a field over the csv module's limit
            yield _Record(consumed[0][0], [], consumed[0][1].rstrip("\r\n"), error_line(error))
            returned.extendleft(reversed(consumed[1:]))
            reader = csv.reader(feed(), strict=True)
        else:
            if cells is None:
                return
            if cells:
                yield _Record(consumed[0][0], cells)
        consumed.clear()


def _rows(records: Iterator[_Record], path: Path, source: Source, key: str, text: str) -> Iterator[Row]:
    """Rows of records. If all column names are numbers, there is no header line."""
    wanted = column_names(source.columns, text)
    headless = all(name.isdecimal() for name in wanted.values())
    titles: list[str] = []
    if not headless:
        header = next(records, None)
        if header is None:
            return
        if header.fault:
            raise ParamsError([f"{key}.path: {path} line {header.number}: {header.fault}"])
        titles = [title.strip() for title in header.cells]
        check_columns(wanted, titles, path, key)
    indices = {part: int(name) if headless else titles.index(name) for part, name in wanted.items()}
    needed, any_read, first = max(indices.values()) + 1, False, 0
    for record in records:
        where, count = f"{path} line {record.number}", len(record.cells)
        first = first or count
        if record.fault:
            yield Row(where, record.raw[:MAX_SHOWN], fault=record.fault)
        elif count != len(titles) if titles else count < needed:
            fault = f"{count} columns, {len(titles) or needed} are needed"
            yield Row(where, "\t".join(record.cells)[:MAX_SHOWN], fault=fault)
        else:
            any_read = True
            yield Row(where, **{part: record.cells[index] for part, index in indices.items()})
    if headless and first and not any_read:
        part = max(indices, key=lambda part: indices[part])
        raise ParamsError(
            [f"{key}.columns.{part}: no line of {path} has a column {indices[part]}; the first has 0 to {first - 1}"]
        )
