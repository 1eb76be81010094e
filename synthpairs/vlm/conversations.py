"""Instruction data from elsewhere: conversations in LLaVA's JSON, read one by one, and the folder of their pictures."""

import codecs
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthpairs.vlm.pictures import Source

CHUNK = 2**20  # bytes read at once
PLACEHOLDER = "<image>"
_DECODER = json.JSONDecoder()

Turns = list[dict[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What `finetune` learns from in place of the desk's instruction data, such as LLaVA-1.5's mix of 665,000."""

    path: str  # JSON list of records with `conversations` and, where there is a picture, `image`
    images: str | None  # directory that `image` starts from; null: there are no pictures


def read_conversations(instructions: Instructions) -> Iterator[tuple[Turns, Source | None]]:
    """(turns, picture) of each record; a picture outside of the folder is given as nothing that can be read.

    FileNotFoundError or ValueError names the file and the record when it is no such list or an empty one, or its pictures have
    no folder.
    """
    path = Path(instructions.path)
    if not path.is_file():
        raise FileNotFoundError(f"params.yaml: finetune.instructions.path: {path} is missing")
    folder = None if instructions.images is None else Path(instructions.images)
    if folder and not folder.is_dir():
        raise FileNotFoundError(f"params.yaml: finetune.instructions.images: {folder} is no directory")
    number = 0
    for number, record in enumerate(_records(path), 1):
        try:
            turns, image = _turns(record["conversations"]), record.get("image")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} record {number}: not a conversation as LLaVA's are ({error!r})") from None
        if image is None:
            yield turns, None
        elif folder is None:
            raise ValueError(f"{path} record {number} has a picture: params.yaml: finetune.instructions.images is null")
        else:
            yield turns, _within(folder, str(image))
    if not number:
        raise ValueError(f"params.yaml: finetune.instructions.path: {path} holds no conversation")


def _turns(said: list[dict[str, str]]) -> Turns:
    """Questions and the answers that follow them; LLaVA puts the picture before the first question, wherever it stood."""
    turns: Turns = []
    question = None
    for part in said:
        if part["from"] == "human":
            question = part["value"].replace(PLACEHOLDER, "", 1) if not turns else part["value"]
        elif question is not None:
            turns.append({"question": question, "answer": part["value"]})
            question = None
    return turns


def _within(folder: Path, name: str) -> Source:
    path = Path(os.path.abspath(folder / name))  # by its name alone: a link within the folder may lead anywhere
    return path if path.is_relative_to(os.path.abspath(folder)) else b""


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The elements of a JSON list, of which no more than one and a chunk are held."""
    decoder, text, number = codecs.getincrementaldecoder("utf-8-sig")(), "", 0
    with path.open("rb") as file:
        ended = False
        while True:
            text = text.lstrip(" \t\r\n," if number else " \t\r\n")
            if not number and text:
                if text[0] != "[":
                    raise ValueError(f"{path} is not a JSON list of records, as LLaVA's files are")
                text, number = text[1:], 1
                continue
            if text[:1] == "]":
                return
            try:
                record, end = _DECODER.raw_decode(text) if text else ({}, 0)
            except ValueError as error:
                if ended:
                    raise ValueError(f"{path} record {number}: {error}") from None
                end = 0
            if end:
                yield record
                text, number = text[end:], number + 1
                continue
            if ended:
                raise ValueError(f"{path} ends within its list, behind record {number - 1}")
            chunk = file.read(CHUNK)
            ended = not chunk
            text += decoder.decode(chunk, final=ended)
