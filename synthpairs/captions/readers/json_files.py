"""Readers of JSON Lines and of LLaVA's JSON lists."""

import json
from collections.abc import Iterator
from pathlib import Path

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import MAX_SHOWN, Fields, Row, lines, open_file
from synthpairs.core.errors import error_line
from synthpairs.core.llava_json import first_answer, read_records


def read_jsonl(path: Path, source: Source, key: str) -> Iterator[Row]:
    """One object per non-blank line; the default field of captions is `text`."""
    fields = Fields(path, key, source.columns, source.columns.text or "text")
    for number, line in lines(path):
        if line.strip():
            where = f"{path} line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
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
        for record in read_records(file, f"{key}.path: {path}"):
            where = f"{path} record {record.number}"
            if record.fault is None:
                yield fields.row(record.value, where)
            else:
                yield Row(where, record.text, fault=record.fault)
    fields.check()
