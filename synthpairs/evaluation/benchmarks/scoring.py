"""What the benchmark definitions call while lm-eval runs: reading the table, opening pictures, judging answers.

The definitions name these functions (`!function synthpairs.evaluation.benchmarks.scoring.short_answer`), so they run in this
project and under lm-eval's own command line alike.
"""

import io
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset
from PIL import Image

from synthpairs.emoji.tasks.definitions import LETTERS

_DIGITS = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
_LETTER = re.compile(rf"\(?([{LETTERS}])(?:[.:)]+(?:\s.*)?)?")  # "B", "(B)", "B. food or drink"; not "A dog"


def beside(table: str, config_source: str, **_: Any) -> dict[str, Dataset]:
    """The table that lies beside the definition, as split `test`. Nothing is downloaded or cached."""
    path = Path(config_source).parent / table
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro tasks` first")
    return {"test": Dataset(pq.read_table(path))}


def pictures(row: dict) -> list[Image.Image]:
    """The one picture of an item."""
    return [Image.open(io.BytesIO(row["picture"])).convert("RGB")]


def normalised(answer: str) -> str:
    """Lower case, no punctuation, no articles, digits as words: what VQA's evaluation compares, cut to what is asked here."""
    words = re.sub(r"[^a-z0-9 ]", " ", answer.lower()).split()
    return " ".join(_DIGITS.get(word, word) for word in words if word not in ("a", "an", "the"))


def yes_or_no(row: dict, results: list[str]) -> dict[str, float]:
    """Right when the first word is the answer; POPE's own parser takes whatever lacks a `no` for a yes, this one does not."""
    first = normalised(results[0]).split()[:1]
    return {"accuracy": float(first == row["answers"][:1])}


def short_answer(row: dict, results: list[str]) -> dict[str, float]:
    """Right when the whole answer is one of the accepted ones, after normalisation."""
    return {"accuracy": float(normalised(results[0]) in [normalised(answer) for answer in row["answers"]])}


def chosen(answer: str, choices: list[str]) -> str | None:
    """The option that an answer names, by its words or by its letter; None when it names none."""
    for choice in choices:
        if normalised(answer) == normalised(choice):
            return choice
    letter = _LETTER.fullmatch(answer.strip())
    return choices[LETTERS.index(letter[1])] if letter else None


def option(row: dict, results: list[str]) -> dict[str, float]:
    """Right when the right option is named, by its words or by its letter."""
    return {"accuracy": float(chosen(results[0], row["choices"]) == row["answers"][0])}


def caption(row: dict, results: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Prediction and references; CIDEr-D needs all of them together and is computed by the aggregation."""
    return {"cider": (results[0], row["answers"])}
