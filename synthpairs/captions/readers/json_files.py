"""Readers of JSON Lines, of LLaVA's JSON lists, and of the JSON files of COCO, Karpathy's splits and SBU."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import MAX_SHOWN, Fields, Row, column_names, lines, open_file
from synthpairs.core.errors import error_line
from synthpairs.core.untrusted_json import Record, first_answer, loads, read_member, read_records


def read_jsonl(path: Path, source: Source, key: str) -> Iterator[Row]:
    """One object per non-blank line; the default field of captions is `text`."""
    fields = Fields(path, key, source.columns, "text")
    for number, line in lines(path):
        if line.strip():
            where = f"{path} line {number}"
            try:
                record = loads(line)
            except ValueError as error:
                yield Row(where, line.rstrip("\r\n")[:MAX_SHOWN], fault=error_line(error))
            else:
                yield fields.row(record, where)
    fields.check()


def read_llava(path: Path, source: Source, key: str) -> Iterator[Row]:
    """A JSON list of objects; the default caption is the first answer of `gpt` in `conversations`."""
    if source.columns.text is None:
        fields = Fields(path, key, source.columns, "conversations", first_answer)
    else:
        fields = Fields(path, key, source.columns, source.columns.text)
    with open_file(path) as file:
        yield from _rows(read_records(file, f"{key}.path: {path}"), fields)


def read_coco(path: Path, source: Source, key: str) -> Iterator[Row]:
    """The `annotations` of COCO's captions_*.json with the fields of their `images`; the default caption is `caption`."""
    fields = Fields(path, key, source.columns, "caption", str.strip)
    images: dict[Any, dict[str, Any]] = {}
    if len(fields.names) > 1:
        with open_file(path) as file:
            for record in read_member(file, f"{key}.path: {path}", "images"):
                if isinstance(image := record.value, dict):
                    images[_id(image.get("id"))] = {
                        name: image[name] for name in fields.names.values() if name in image
                    }
    with open_file(path) as file:
        annotations = read_member(file, f"{key}.path: {path}", "annotations")
        for row in _rows(annotations, fields, lambda record: images.get(_id(record.get("image_id")), {}) | record):
            if source.columns.image is not None and row.image is None and row.fault is None:
                row.fault = f"none of `images` gives it a {source.columns.image!r}"
            yield row


def read_karpathy(path: Path, source: Source, key: str) -> Iterator[Row]:
    """The `images` of Karpathy's splits; the default captions are `raw` of `sentences`. `filename` begins with `filepath`."""
    if source.columns.text is None:
        fields = Fields(path, key, source.columns, "sentences", lambda cell: [one["raw"].strip() for one in cell])
    else:
        fields = Fields(path, key, source.columns, source.columns.text)
    with open_file(path) as file:
        yield from _rows(read_member(file, f"{key}.path: {path}", "images"), fields, _with_folder)


def read_sbu(path: Path, source: Source, key: str) -> Iterator[Row]:
    """The parallel lists of an object, as SBU's; columns are names of lists, the default one of captions is `captions`."""
    names = column_names(source.columns, "captions")
    with ExitStack() as stack:
        files = [stack.enter_context(open_file(path)) for _ in names]
        lists = [
            read_member(file, f"{key}.path: {path}", name) for file, name in zip(files, names.values(), strict=True)
        ]
        absent = Record(0, fault="the lists differ in length")
        for number, cells in enumerate(zip_longest(*lists, fillvalue=absent), 1):
            fault = next((cell.fault for cell in cells if cell.fault is not None), None)
            values = dict(zip(names, (cell.value for cell in cells), strict=True))
            yield Row(f"{path} record {number}", **values, fault=fault)


def _rows(
    records: Iterator[Record],
    fields: Fields,
    complete: Callable[[dict[str, Any]], dict[str, Any]] = lambda record: record,
) -> Iterator[Row]:
    """Rows of the elements of a list; `complete` adds fields that are elsewhere in the file."""
    for record in records:
        where = f"{fields.path} record {record.number}"
        if record.fault is not None:
            yield Row(where, record.text, fault=record.fault)
        else:
            yield fields.row(complete(record.value) if isinstance(record.value, dict) else record.value, where)
    fields.check()


def _id(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) else None


def _with_folder(image: dict[str, Any]) -> dict[str, Any]:
    folder, name = image.get("filepath"), image.get("filename")
    return image | {"filename": f"{folder}/{name}"} if isinstance(folder, str) and isinstance(name, str) else image
