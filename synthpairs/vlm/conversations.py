"""Instruction data from elsewhere: conversations in LLaVA's JSON and the folder of their pictures."""

import os
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from synthpairs.core.untrusted_json import read_records
from synthpairs.vlm.examples import Conversation
from synthpairs.vlm.model import IMAGE_TOKEN
from synthpairs.vlm.params import Instructions
from synthpairs.vlm.pictures import Source

ROLES = {"human": "question", "user": "question", "gpt": "answer", "assistant": "answer", "system": None}
# JSON can hold half of a surrogate pair; bytes in another encoding were read as U+FFFD.
_NOT_UTF8 = re.compile("[\ud800-\udfff\ufffd]")


def read_conversations(instructions: Instructions, section: str) -> Iterator[Conversation]:
    """The conversation of each record; a path outside of the folder becomes b"", which is counted as unreadable.

    FileNotFoundError or ValueError names the param of `section`, or the file and the record.
    """
    check_instructions(instructions, section)
    key, path = f"params.yaml: {section}.instructions", Path(instructions.path)
    folder = None if instructions.images is None else Path(instructions.images)
    number = 0
    with path.open("rb") as file:
        for record in read_records(file, str(path)):
            number, where = record.number, f"{path} record {record.number}"
            if record.fault is not None:
                raise ValueError(f"{where}: {record.fault}")
            try:
                names, messages = _picture_names(record.value), _messages(record.value)
            except ValueError as error:
                raise ValueError(f"{where}: not a conversation in LLaVA's form: {error}") from None
            if names and folder is None:
                raise ValueError(f"{where} has a picture, but {key}.images is null")
            turns, picture_turn = _turns(messages, bool(names))
            picture = _within(folder, names[0]) if names and folder else None
            yield Conversation(turns, picture, picture_turn, where, _fault(turns, names))
    if not number:
        raise ValueError(f"{key}.path: {path} holds no conversation")


def check_instructions(instructions: Instructions, section: str) -> None:
    """FileNotFoundError for a missing file or image folder."""
    key = f"params.yaml: {section}.instructions"
    if not Path(instructions.path).is_file():
        raise FileNotFoundError(f"{key}.path: {instructions.path} is missing")
    if instructions.images is not None and not Path(instructions.images).is_dir():
        raise FileNotFoundError(f"{key}.images: {instructions.images} is no directory")


def _messages(record: Any) -> list[tuple[str, str]]:
    """(role, text) of a record's `conversations` (`from`, `value`) or `messages` (`role`, `content`); null is no text."""
    messages = record.get("conversations", record.get("messages"))
    if not isinstance(messages, list):
        raise ValueError("it has no list of `conversations` or `messages`")
    result = []
    for message in messages:
        if not isinstance(message, dict):
            raise ValueError(f"a turn is {_shown(message)}")
        role, text = message.get("from", message.get("role")), message.get("value", message.get("content"))
        if role not in list(ROLES):
            raise ValueError(f"a turn is from {_shown(role)}, which is none of {', '.join(ROLES)}")
        if not isinstance(text, str | None):
            raise ValueError(f"the text of {role} is {_shown(text)}, which is no string")
        result.append((role, text or ""))
    return result


def _picture_names(record: Any) -> list[str]:
    """Paths in a record's `image` or `images`, a path or a list of paths; empty ones and null mean none."""
    if not isinstance(record, dict):
        raise ValueError(f"it is {_shown(record)}, which is no object")
    value = record.get("image") or record.get("images") or []
    names = value if isinstance(value, list) else [value]
    if wrong := [name for name in names if not isinstance(name, str | None)]:
        raise ValueError(f"its image is {_shown(wrong[0])}, which is no path")
    return [name for name in names if name]


def _turns(messages: list[tuple[str, str]], pictured: bool) -> tuple[list[dict[str, str | None]], int]:
    """Questions with the answers after them, as `turns` of INSTRUCTIONS, and the index of the question about the picture.

    Consecutive questions, or answers, are joined. System prompts are left out, since the chat template has its own, and so are
    an answer to nothing and a question without answer. As in LLaVA, the picture's placeholders are taken out, and the
    picture precedes the question that had one, else the first.
    """
    by_role = [(ROLES[role], text) for role, text in messages if ROLES[role]]
    parts = [(key, "\n".join(text for _, text in group)) for key, group in groupby(by_role, key=lambda part: part[0])]
    texts = [text for _, text in parts[bool(parts) and parts[0][0] == "answer" :]]
    turns: list[dict[str, str | None]] = []
    placed = []
    for question, answer in zip(texts[::2], texts[1::2], strict=False):
        if pictured and IMAGE_TOKEN in question:
            placed.append(len(turns))
            question = question.replace(IMAGE_TOKEN, "").strip()
        turns.append({"question": question, "answer": answer})
    return turns, placed[0] if placed else 0


def _fault(turns: list[dict[str, str | None]], names: list[str]) -> str | None:
    if len(names) > 1:
        return "several_images"
    return "not_utf8" if any(_NOT_UTF8.search(text or "") for turn in turns for text in turn.values()) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _within(folder: Path, name: str) -> Source:
    path = Path(os.path.abspath(folder / name))  # links are not resolved: one within the folder may lead anywhere
    return path if path.is_relative_to(os.path.abspath(folder)) else b""
