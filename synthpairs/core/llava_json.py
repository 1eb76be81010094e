"""LLaVA's JSON: one long list of records with `conversations`, read one by one and never held as a whole."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

CHUNK = 2**20  # bytes read at once
LONGEST = 2**22  # characters of a record: more is none but a broken file
SHOWN = 1000  # characters that are kept of what is no record
PLACEHOLDER = "<image>"
_SPACE, _BETWEEN = re.compile(r"[ \t\r\n]*"), re.compile(r"[ \t\r\n,]*")
_FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")\s*:')
_DECODER = json.JSONDecoder(strict=False)  # line ends within strings are no reason to lose a record


@dataclass(frozen=True, slots=True)
class Record:
    """An element of the list: its value, or a fault and the text that stood there."""

    number: int  # from 1
    value: Any = None
    fault: str | None = None
    text: str = ""


def read_records(file: IO[bytes], name: str) -> Iterator[Record]:
    """The elements of a list in a file that is open; one that is no JSON, or a list that is cut, is a record at fault.

    ValueError begins with `name` when the file holds no list.
    """
    window = _Window(file)
    if window.next_after(_SPACE) not in ("[", ""):
        raise ValueError(f"{name} is not a JSON list of records, as LLaVA's files are")
    window.at += 1
    number, lost = 0, False
    while (mark := window.next_after(_BETWEEN)) not in ("]", ""):
        number += 1
        try:
            value = window.element()
        except (ValueError, RecursionError) as error:
            lost = True
            yield Record(number, fault=f"{type(error).__name__}: {error}", text=window.skip())
        else:
            lost = False
            yield Record(number, value)
    if mark:
        window.at += 1
        if window.next_after(_SPACE):
            yield Record(number + 1, fault="more after the list's end", text=window.text[window.at :][:SHOWN])
    elif not lost:  # else the end is part of what was lost
        yield Record(number + 1, fault="the file ends within its list")


def first_answer(conversations: Any) -> Any:
    """What `gpt` says first in a record's `conversations`; ValueError, TypeError or KeyError when it says nothing."""
    for turn in conversations:
        if turn["from"] == "gpt":
            return turn["value"]
    raise ValueError("gpt says nothing")


def question_answers(conversations: Any) -> list[dict[str, str | None]]:
    """Questions of `human` and the answers that follow them, as rows of INSTRUCTIONS have them; errors as `first_answer`'s.

    The first question loses its image placeholder: LLaVA puts the picture before it, wherever the placeholder stood.
    """
    turns: list[dict[str, str | None]] = []
    question = None
    for turn in conversations:
        if turn["from"] == "human":
            question = turn["value"] if turns else turn["value"].replace(PLACEHOLDER, "", 1)
        elif question is not None:
            turns.append({"question": question, "answer": turn["value"]})
            question = None
    return turns


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
