"""Makes all of data/tasks: five benchmark tables with their definitions, and the instruction data."""

import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.core.schema import BENCHMARK, INSTRUCTIONS
from synthpairs.core.storage import write_bytes, write_table
from synthpairs.emoji.tasks.definitions import TASKS, TEXT, VERSION, definitions
from synthpairs.emoji.tasks.existence import pope_items
from synthpairs.emoji.tasks.instructions import instruction_rows
from synthpairs.emoji.tasks.items import caption_items, sqa_items, vqa_items
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.emoji.tasks.studio import Studio
from synthpairs.emoji.tasks.words import text_items, word_classes

SHOWN = "heldout_combination"  # the benchmarks' split
TAUGHT = "train"  # the instruction data's


def make_tasks(drawings: pd.DataFrame, concepts: list[str], params: Tasks, out: Path) -> dict:
    """Write the tables and definitions into `out` and return counts, and what guessing would score.

    Each table has a studio and a random stream of its own, so the size of one never changes another.
    """
    asked, practised = word_classes(drawings)
    streams = dict(zip((*TASKS, "instructions"), np.random.default_rng(params.seed).spawn(len(TASKS) + 1), strict=True))

    def studio(split: str) -> Studio:
        return Studio(drawings, split, concepts, params.side)

    tables = {
        "desk_caption": caption_items(studio(SHOWN), params.caption, params.references, streams["desk_caption"]),
        "desk_pope": pope_items(studio(SHOWN), params.pope, streams["desk_pope"]),
        "desk_vqa": vqa_items(studio(SHOWN), params.vqa, streams["desk_vqa"]),
        "desk_sqa": sqa_items(studio(SHOWN), params.sqa, streams["desk_sqa"]),
        TEXT: text_items(asked, params.text, streams[TEXT]),
    }
    rows = instruction_rows(studio(TAUGHT), practised, params.instructions, streams["instructions"])
    for task, items in tables.items():
        items.sort(key=lambda row: str(row["uid"]))
        check_split(task, items, drawings, SHOWN)
        write_table(out / f"{task}.parquet", items, BENCHMARK)
    check_split("instructions", rows, drawings, TAUGHT)
    write_table(out / "instructions.parquet", rows, INSTRUCTIONS)
    turns = [turn for row in rows for turn in row["turns"]]
    for name, text in definitions().items():
        write_bytes(out / name, text.encode())
    return {
        "version": VERSION,
        "benchmarks": {task: _guesses(items) for task, items in tables.items()},
        "instructions": dict(sorted(Counter(row["task"] for row in rows).items())),
        "turns": len(turns),
        "words": round(statistics.mean(len(turn["question"].split()) for turn in turns), 2),
        "answer_words": round(statistics.mean(len(turn["answer"].split()) for turn in turns), 2),
    }


def check_split(table: str, rows: list[dict], drawings: pd.DataFrame, split: str) -> None:
    """AssertionError unless all rows differ and show drawings of one split only: nothing held out may be taught."""
    allowed = set(drawings["drawing"][drawings["split"] == split])
    foreign = {drawing for row in rows for drawing in row["drawings"]} - allowed
    assert not foreign, f"{table} shows drawings that are not of split {split}: {sorted(foreign)[:3]}"
    assert len({row["uid"] for row in rows}) == len(rows), f"{table} asks the same twice"


def _guesses(items: list[dict]) -> dict:
    """Number of items; for tasks with one answer also two levels to measure a model against.

    `chance` is a uniform guess among what is offered (the choices, or the answers of the category), `majority` the best
    that one fixed answer for each category, or one fixed place among the choices, can do.
    """
    if any(len(row["answers"]) > 1 for row in items):
        return {"items": len(items)}
    answers: dict[str, Counter[str]] = {}
    places: Counter[int] = Counter()
    for row in items:
        answers.setdefault("" if row["choices"] else row["category"], Counter())[row["answers"][0]] += 1
        if row["choices"]:
            places[row["choices"].index(row["answers"][0])] += 1
    chance = [1 / len(row["choices"] or answers[row["category"]]) for row in items]
    majority = max(sum(max(counts.values()) for counts in answers.values()), *places.values(), 0)
    return {
        "items": len(items),
        "chance": round(statistics.mean(chance), 4),
        "majority": round(majority / len(items), 4),
    }
