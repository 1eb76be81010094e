"""Instruction data from elsewhere: conversations in LLaVA's JSON and the folder of their pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

from synthpairs.core.llava_json import question_answers, read_records
from synthpairs.vlm.params import Instructions
from synthpairs.vlm.pictures import Source


def read_conversations(
    instructions: Instructions, section: str
) -> Iterator[tuple[list[dict[str, str | None]], Source | None]]:
    """(turns, picture) of each record; a path outside of the folder becomes b"", which is counted as unreadable.

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
                turns, image = question_answers(record.value["conversations"]), record.value.get("image")
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{where}: not a conversation in LLaVA's form ({error!r})") from None
            if image is not None and folder is None:
                raise ValueError(f"{where} has a picture, but {key}.images is null")
            yield turns, None if image is None or folder is None else _within(folder, str(image))
    if not number:
        raise ValueError(f"{key}.path: {path} holds no conversation")


def check_instructions(instructions: Instructions, section: str) -> None:
    """FileNotFoundError for a missing file or image folder."""
    key = f"params.yaml: {section}.instructions"
    if not Path(instructions.path).is_file():
        raise FileNotFoundError(f"{key}.path: {instructions.path} is missing")
    if instructions.images is not None and not Path(instructions.images).is_dir():
        raise FileNotFoundError(f"{key}.images: {instructions.images} is no directory")


def _within(folder: Path, name: str) -> Source:
    path = Path(os.path.abspath(folder / name))  # links are not resolved: one within the folder may lead anywhere
    return path if path.is_relative_to(os.path.abspath(folder)) else b""
