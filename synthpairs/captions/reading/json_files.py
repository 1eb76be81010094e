"""JSON: an object on each line, or one long list of them as LLaVA's files are, which is never held as a whole."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from synthpairs.captions.params import Source
from synthpairs.captions.reading.rows import LONGEST, SHOWN, Fields, Row, describe, lines, opened

CHUNK = 2**20  # bytes read at once
_SPACE, _BETWEEN = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n,]*")
_FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")\s*:')
_DECODER = json.JSONDecoder(strict=False)  # line ends within strings are no reason to lose a caption


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
        fields = Fields(path, key, source.columns, "conversations", _first_answer)
    else:
        fields = Fields(path, key, source.columns, source.columns.text)
    with opened(path) as file:
        window = _Window(file)
        if window.next_after(_SPACE) not in ("[", ""):
            raise ValueError(f"{key}.path: {path} is not a JSON list of records, as LLaVA's files are")
        window.at += 1
        number, lost = 0, False
        while (mark := window.next_after(_BETWEEN)) not in ("]", ""):
            number += 1
            where = f"{path} record {number}"
            try:
                record = window.element()
            except (ValueError, RecursionError) as error:
                lost = True
                yield Row(where, window.skip(), fault=describe(error))
            else:
                lost = False
                yield fields.row(record, where)
        where = f"{path} record {number + 1}"
        if mark:
            window.at += 1
            if window.next_after(_SPACE):
                yield Row(where, window.text[window.at :][:SHOWN], fault="more after the list's end")
        elif not lost:  # else the end is part of what was lost
            yield Row(where, "", fault="the file ends within its list")
    fields.check()


def _first_answer(turns: Any) -> Any:
    for turn in turns:
        if turn["from"] == "gpt":
            return turn["value"]
    raise ValueError("gpt says nothing")


class _Window:
    """A file's text from `at` on, as far as it has been read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.decoder = file, codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text, self.at, self.ended = "", 0, False
        self.first_keys: set[str] = set()  # of the elements so far

    def read_on(self) -> None:
        """Drop what lies before `at` and read a chunk more, or notice the end."""
        chunk = self.file.read(CHUNK)
        self.ended = not chunk
        self.text, self.at = self.text[self.at :] + self.decoder.decode(chunk, final=self.ended), 0

    def next_after(self, skipped: re.Pattern[str]) -> str:
        """Step over what may be skipped; the character there, nothing at the end of the file."""
        while True:
            match = skipped.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.read_on()

    def element(self) -> Any:
        """The value at `at`, stepped over; ValueError or RecursionError when it is none or longer than LONGEST."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):  # it may only go on beyond what has been read
                if self.ended or len(self.text) - self.at >= LONGEST:
                    raise
            else:
                if end < len(self.text) or self.ended:  # at the very end a number may go on
                    self.at = end
                    if isinstance(value, dict) and value:
                        self.first_keys.add(next(iter(value)))
                    return value
            self.read_on()

    def skip(self) -> str:
        """Step over an element that is no JSON, to the next that begins as elements here do; its beginning.

        Its own brackets and quotes cannot be trusted to say where it ends.
        """
        begin = _FIRST_KEY.match(self.text, self.at)
        keys = {json.dumps(key, ensure_ascii=False) for key in self.first_keys} | ({begin[1]} if begin else set())
        start = re.compile(rf"\{{\s*(?:{'|'.join(map(re.escape, sorted(keys)))})\s*:" if keys else r"\{")
        shown = self.text[self.at : self.at + SHOWN]
        self.at += 1
        while not (match := start.search(self.text, self.at)) and not self.ended:
            self.at = max(self.at, len(self.text) - SHOWN)  # a beginning may lie across the end of what has been read
            self.read_on()
        self.at = match.start() if match else len(self.text)
        return shown
