"""Functions that the benchmark definitions name: reading the table, decoding images, scoring answers.

The definitions refer to them by name (`!function synthpairs.evaluation.benchmarks.scoring.short_answer`), so the
benchmarks also run under lm-eval's own command line.
"""

import re
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets import Dataset
from PIL import Image

from synthpairs.core.images import decode_image
from synthpairs.emoji.tasks.definitions import LETTERS

_DIGITS = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
_LETTER = re.compile(rf"\(?([{LETTERS}])(?:[.:)]+(?:\s.*)?)?")  # "B", "(B)", "B. food or drink"; not "A dog"


def load_table(table: str, config_source: str, **_: Any) -> dict[str, Dataset]:
    """The table in the definition's directory, as split `test`; FileNotFoundError without it."""
    path = Path(config_source).parent / table
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro tasks` first")
    return {"test": Dataset(pq.read_table(path))}


def pictures(row: dict) -> list[Image.Image]:
    """The image of an item, RGB."""
    return [decode_image(row["picture"])]


def normalised(answer: str) -> str:
    """Lower case without punctuation and articles, digits as words: VQA's normalisation, reduced to our answers."""
    words = re.sub(r"[^a-z0-9 ]", " ", answer.lower()).split()
    return " ".join(_DIGITS.get(word, word) for word in words if word not in ("a", "an", "the"))


def yes_or_no(row: dict, results: list[str]) -> dict[str, float]:
    """1 if the first word is the answer; POPE's own parser takes every answer without a `no` for a yes."""
    first = normalised(results[0]).split()[:1]
    return {"accuracy": float(first == row["answers"][:1])}


def short_answer(row: dict, results: list[str]) -> dict[str, float]:
    """1 if the normalised answer is one of the accepted ones."""
    return {"accuracy": float(normalised(results[0]) in [normalised(answer) for answer in row["answers"]])}


def named_option(answer: str, choices: list[str]) -> str | None:
    """The option that an answer names by its words or its letter, else None."""
    for choice in choices:
        if normalised(answer) == normalised(choice):
            return choice
    letter = _LETTER.fullmatch(answer.strip())
    return choices[LETTERS.index(letter[1])] if letter else None


def option(row: dict, results: list[str]) -> dict[str, float]:
    """1 if the answer names the right option, by its words or its letter."""
    return {"accuracy": float(named_option(results[0], row["choices"]) == row["answers"][0])}


def caption(row: dict, results: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Prediction and references, from which the aggregation computes CIDEr-D over all items."""
    return {"cider": (results[0], row["answers"])}


def encoded_images(rows: Dataset) -> Dataset:
    """WebDataset samples whose images stay encoded, since lm-eval holds all samples several times."""
    return rows.cast_column("jpg", datasets.Image(decode=False))


def webdataset_image(row: dict) -> list[Image.Image]:
    """The image of a WebDataset sample, RGB."""
    return [decode_image(row["jpg"]["bytes"])]


def webdataset_caption(row: dict, results: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Prediction and references of a WebDataset sample, the lines of its `txt`."""
    return {"cider_d": (results[0], [line for line in row["txt"].split("\n") if line.strip()])}
