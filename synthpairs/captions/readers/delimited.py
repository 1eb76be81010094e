"""Plain text, TSV and CSV: a caption, or the cells of one, on a line."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import SHOWN, Row, column_names, describe, lines


class _Record(NamedTuple):
    number: int  # of its first line
    cells: list[str]
    raw: str = ""  # what stood there, when something is wrong
    fault: str | None = None


def read_text(path: Path, source: Source, key: str) -> Iterator[Row]:
    """A caption on each line that is not blank; there are no columns."""
    for number, line in lines(path):
        if line.strip():
            yield Row(f"{path} line {number}", line.rstrip("\r\n"))


def read_tsv(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Cells between tabs, no quoting; the caption is in the first column (CC3M) if params.yaml does not say otherwise."""
    split = ((number, line.rstrip("\r\n")) for number, line in lines(path) if line.strip(" \r\n"))
    return _rows((_Record(number, line.split("\t")) for number, line in split), path, source, key, "0")


def read_csv(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Cells as csv reads them strictly; the caption is in the column `text` if params.yaml does not say otherwise."""
    return _rows(_csv_records(path), path, source, key, "text")


def _csv_records(path: Path) -> Iterator[_Record]:
    """Records of one or several lines. Of a faulty one only the first line is lost, for a quote that never ends may
    have taken any number of good neighbours in: reading goes on with the second.
    """
    rest = lines(path)
    waiting: deque[tuple[int, str]] = deque()
    taken: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        while line := waiting.popleft() if waiting else next(rest, None):
            taken.append(line)
            yield line[1]

    reader = csv.reader(feed(), strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:  # a field over the csv module's limit, too
            yield _Record(taken[0][0], [], taken[0][1].rstrip("\r\n"), describe(error))
            waiting.extendleft(reversed(taken[1:]))
            reader = csv.reader(feed(), strict=True)
        else:
            if cells is None:
                return
            if cells:
                yield _Record(taken[0][0], cells)
        taken.clear()


def _rows(records: Iterator[_Record], path: Path, source: Source, key: str, text: str) -> Iterator[Row]:
    """The rows of records. Columns that are all numbers mean that there is no header line."""
    wanted = column_names(source.columns, text)
    headless = all(name.isdecimal() for name in wanted.values())
    titles: list[str] = []
    if not headless:
        header = next(records, None)
        if header is None:
            return
        titles = [title.strip() for title in header.cells]
        missing = [part for part, name in wanted.items() if name not in titles]
        if missing:
            raise ValueError(
                f"{key}.columns.{missing[0]}: {path} has no column {wanted[missing[0]]!r}; "
                f"its first line has {', '.join(titles) or header.fault}"
            )
    places = {part: int(name) if headless else titles.index(name) for part, name in wanted.items()}
    needed, met, first = max(places.values()) + 1, False, 0
    for record in records:
        where, count = f"{path} line {record.number}", len(record.cells)
        first = first or count
        if record.fault:
            yield Row(where, record.raw[:SHOWN], fault=record.fault)
        elif count != len(titles) if titles else count < needed:
            fault = f"{count} columns, {len(titles) or needed} are needed"
            yield Row(where, "\t".join(record.cells)[:SHOWN], fault=fault)
        else:
            met = True
            yield Row(where, **{part: record.cells[place] for part, place in places.items()})
    if headless and first and not met:
        part = max(places, key=lambda part: places[part])
        raise ValueError(
            f"{key}.columns.{part}: no line of {path} has a column {places[part]}; the first has 0 to {first - 1}"
        )
