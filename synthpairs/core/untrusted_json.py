"""JSON from outside, nested no deeper than LEVELS: `loads`, and a streaming reader of long lists, as LLaVA's and COCO's."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from synthpairs.core.config import ParamsError

CHUNK = 2**20  # bytes read at once
LONGEST = 2**22  # characters of a record; longer ones occur in broken files only
SHOWN = 1000  # characters kept of text that is no valid JSON
LEVELS = 100  # of nesting; Python's decoder reads up to 990, fewer within deeper calls
MAX_KEYS, MAX_KEY = 100, 100  # first keys by which the next element is found, and their characters
_SPACE, _BETWEEN, _COLON = (re.compile(rf"[ \t\r\n{more}]*") for more in ("", ",", ":"))
_FIRST_KEY = re.compile(rf'\{{\s*("(?:[^"\\]|\\.){{0,{MAX_KEY}}}")\s*:')
_NESTING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)  # strings, the last perhaps cut, and brackets
_DECODER = json.JSONDecoder(strict=False)  # line ends within strings are accepted


@dataclass(frozen=True, slots=True)
class Record:
    """An element of the list: its value, or the fault and the beginning of its text."""

    number: int  # from 1
    value: Any = None
    fault: str | None = None
    text: str = ""


class TooDeep(ValueError):
    """JSON nested deeper than LEVELS, from the character `at` on; `end` is the value's, None where it is not known."""

    def __init__(self, at: int, end: int | None = None) -> None:
        super().__init__(f"nested deeper than {LEVELS} levels")
        self.at, self.end = at, end


def loads(text: str | bytes) -> Any:
    """The value of JSON from outside; ValueError for what is invalid or nested deeper than LEVELS, whatever calls it."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")  # as json.loads does
    if deep := _too_deep(text):
        raise TooDeep(deep)
    return json.loads(text)


def _too_deep(text: str, at: int = 0, end: int | None = None) -> int | None:
    """Where JSON from `at` to `end` is first nested deeper than LEVELS."""
    if text.count("[", at, end) + text.count("{", at, end) <= LEVELS:
        return None
    return next((match.start() for depth, match in _depths(text, at, end) if depth > LEVELS), None)


def _depths(text: str, at: int, end: int | None) -> Iterator[tuple[int, re.Match[str]]]:
    depth = 0
    for match in _NESTING.finditer(text, at, len(text) if end is None else end):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        yield depth, match


def read_records(file: IO[bytes], name: str) -> Iterator[Record]:
    """The elements of the list in an open file; invalid JSON, a truncated list and more after it give records with a fault.

    ParamsError, beginning with `name`, when the file holds no list.
    """
    window = _Window(file)
    if window.next_after(_SPACE) not in ("[", ""):
        raise ParamsError([f"{name} is not a JSON list of records, as LLaVA's files are"])
    window.at += 1
    yield from window.records()
    while window.next_after(_SPACE):
        window.count += 1
        yield Record(window.count, fault="more after the list's end", text=window.skip())
        yield from window.records(after_fault=True)


def read_member(file: IO[bytes], name: str, member: str) -> Iterator[Record]:
    """The elements of the list `member` of the JSON object in an open file; faults as of read_records.

    ParamsError, beginning with `name`, when the file holds no such object.
    """
    window, found = _Window(file), False
    fault: str | None = None
    try:
        if window.next_after(_SPACE) == "{":
            window.at += 1
            while window.next_after(_BETWEEN) not in ("}", ""):
                is_member = window.element() == member
                if window.next_after(_COLON) == "[":
                    window.at, window.count, found = window.at + 1, 0, found or is_member
                    yield from (record for record in window.records() if is_member)
                else:
                    try:
                        window.element()
                    except TooDeep as error:
                        window.skip(error)  # nothing of it is wanted
            window.at += 1
            fault = "more after the object's end" if window.next_after(_SPACE) else None
    except ValueError as error:
        fault = f"{type(error).__name__}: {error}"
    if not found:
        raise ParamsError([f"{name} is not a JSON object with a list {member!r}"])
    if fault:
        yield Record(window.count + 1, fault=fault, text=window.text[window.at :][:SHOWN])


def first_answer(conversations: Any) -> Any:
    """The first turn of `gpt` in a record's `conversations`; ValueError, TypeError or KeyError when there is none."""
    for turn in conversations:
        if turn["from"] == "gpt":
            return turn["value"]
    raise ValueError("gpt says nothing")


class _Window:
    """The part of a file's text that is in memory; `at` is the reading position in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.decoder = file, codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text, self.at, self.ended = "", 0, False
        self.count = 0  # elements of the list so far
        self.first_keys: set[str] = set()  # first keys of the elements so far
        self.valid = True  # until a bracket is never closed: then others are not looked for up to the file's end

    def read_on(self) -> None:
        """Drop the text before `at` and append a chunk of the file, or set `ended`."""
        chunk = self.file.read(CHUNK)
        self.ended = not chunk
        self.text, self.at = self.text[self.at :] + self.decoder.decode(chunk, final=self.ended), 0

    def next_after(self, skipped: re.Pattern[str]) -> str:
        """Skip `skipped`; returns the next character, empty at the end of the file."""
        while True:
            match = skipped.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.read_on()

    def records(self, after_fault: bool = False) -> Iterator[Record]:
        """The elements of the list up to its end, from the one at `at`."""
        while (mark := self.next_after(_BETWEEN)) not in ("]", ""):
            self.count += 1
            try:
                value = self.element()
            except ValueError as error:
                after_fault, fault = True, f"{type(error).__name__}: {error}"
                yield Record(self.count, fault=fault, text=self.skip(error if isinstance(error, TooDeep) else None))
            else:
                after_fault = False
                yield Record(self.count, value)
        if mark:
            self.at += 1
        elif not after_fault:  # after one, the skipped text may include the end of the list
            self.count += 1
            yield Record(self.count, fault="the file ends within its list")

    def element(self) -> Any:
        """Read the value at `at`; ValueError when it is invalid or longer than LONGEST, TooDeep when it is nested too deep."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as error:  # possibly because it continues in the next chunk
                if self.ended or len(self.text) - self.at >= LONGEST:
                    read = None if isinstance(error, RecursionError) else getattr(error, "pos", self.at)
                    if deep := _too_deep(self.text, self.at, read):  # not in the elements after this one
                        depths = _depths(self.text, self.at, None if read is None and self.valid else deep)
                        close = next((match.end() for depth, match in depths if not depth), None)
                        self.valid = close is not None
                        raise TooDeep(deep, close) from None
                    raise
            else:
                if end < len(self.text) or self.ended:  # a number at the end of the text may continue
                    if deep := _too_deep(self.text, self.at, end):
                        raise TooDeep(deep, end)
                    self.at = end
                    first = next(iter(value), None) if isinstance(value, dict) else None
                    if first is not None and len(first) <= MAX_KEY and len(self.first_keys) < MAX_KEYS:
                        self.first_keys.add(first)
                    return value
            self.read_on()

    def skip(self, deep: TooDeep | None = None) -> str:
        """Skip what is nested too deep, or invalid JSON up to text that begins as the elements so far do; returns its start.

        Brackets and quotes of invalid JSON do not show where it ends.
        """
        shown = self.text[self.at : self.at + SHOWN]
        if deep and deep.end:
            self.at = deep.end
            return shown
        begin = None if deep else _FIRST_KEY.match(self.text, self.at)
        keys = {json.dumps(key, ensure_ascii=False) for key in self.first_keys} | ({begin[1]} if begin else set())
        start = re.compile(rf"\{{\s*(?:{'|'.join(map(re.escape, sorted(keys)))})\s*:" if keys else r"\{")
        self.at = deep.at if deep else self.at + 1
        while not (match := start.search(self.text, self.at)) and not self.ended:
            self.at = max(self.at, len(self.text) - SHOWN)  # it may begin in this chunk and end in the next
            self.read_on()
        self.at = match.start() if match else len(self.text)
        return shown
