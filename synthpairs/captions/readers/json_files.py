"""Captions from JSON: an object on each line, or LLaVA's list of records."""

import json
from collections.abc import Iterator
from pathlib import Path

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import SHOWN, Fields, Row, describe, lines, opened
from synthpairs.core.llava_json import first_answer, read_records


def read_jsonl(path: Path, source: Source, key: str) -> Iterator[Row]:
    """An object on each line that is not blank; the caption is its `text` if params.yaml does not say otherwise."""
    fields = Fields(path, key, source.columns, source.columns.text or "text")
    for number, line in lines(path):
        if line.strip():
            where = f"{path} line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(where, line.rstrip("\r\n")[:SHOWN], fault=describe(error))
            else:
                yield fields.row(record, where)
    fields.check()


def read_llava(path: Path, source: Source, key: str) -> Iterator[Row]:
    """A JSON list of objects; the caption is the first thing that `gpt` says in `conversations`, or a field."""
    if source.columns.text is None:
        fields = Fields(path, key, source.columns, "conversations", first_answer)
    else:
        fields = Fields(path, key, source.columns, source.columns.text)
    with opened(path) as file:
        for record in read_records(file, f"{key}.path: {path}"):
            where = f"{path} record {record.number}"
            yield (
                fields.row(record.value, where) if record.fault is None else Row(where, record.text, fault=record.fault)
            )
    fields.check()
