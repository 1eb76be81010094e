"""Writing of data/tasks: five benchmark tables with their lm-eval definitions, and the instruction tuning data."""

import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.core.schema import BENCHMARK, INSTRUCTIONS
from synthpairs.core.storage import write_bytes, write_table
from synthpairs.emoji.tasks.composer import SceneComposer
from synthpairs.emoji.tasks.definitions import TASKS, TEXT, VERSION, definitions
from synthpairs.emoji.tasks.instructions import instruction_rows
from synthpairs.emoji.tasks.items import caption_items, sqa_items, vqa_items
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.emoji.tasks.pope import pope_items
from synthpairs.emoji.tasks.words import text_items, word_classes

BENCHMARK_SPLIT = "heldout_combination"
INSTRUCTION_SPLIT = "train"


def make_tasks(drawings: pd.DataFrame, names: pd.DataFrame, concepts: list[str], params: Tasks, out: Path) -> dict:
    """Write the tables and definitions into `out`; returns counts and the scores of guessing.

    Each table has a composer and a random stream of its own, so that its size does not affect the others.
    """
    benchmark_words, instruction_words = word_classes(names)
    streams = dict(zip((*TASKS, "instructions"), np.random.default_rng(params.seed).spawn(len(TASKS) + 1), strict=True))

    def composer(split: str = BENCHMARK_SPLIT) -> SceneComposer:
        return SceneComposer(drawings, split, concepts, params.image_size)

    tables = {
        "desk_caption": caption_items(composer(), params.caption, params.references, streams["desk_caption"]),
        "desk_pope": pope_items(composer(), params.pope, streams["desk_pope"]),
        "desk_vqa": vqa_items(composer(), params.vqa, streams["desk_vqa"]),
        "desk_sqa": sqa_items(composer(), params.sqa, streams["desk_sqa"]),
        TEXT: text_items(benchmark_words, params.text, streams[TEXT]),
    }
    rows = instruction_rows(
        composer(INSTRUCTION_SPLIT), instruction_words, params.instructions, streams["instructions"]
    )
    for task, items in tables.items():
        items.sort(key=lambda row: str(row["uid"]))
        check_split(task, items, drawings, BENCHMARK_SPLIT)
        write_table(out / f"{task}.parquet", items, BENCHMARK)
    check_split("instructions", rows, drawings, INSTRUCTION_SPLIT)
    write_table(out / "instructions.parquet", rows, INSTRUCTIONS)
    for name, text in definitions().items():
        write_bytes(out / name, text.encode())
    turns = [turn for row in rows for turn in row["turns"]]
    return {
        "version": VERSION,
        "benchmarks": {task: _guesses(items) for task, items in tables.items()},
        "instructions": dict(sorted(Counter(row["task"] for row in rows).items())),
        "turns": len(turns),
        "words": round(statistics.mean(len(turn["question"].split()) for turn in turns), 2),
        "answer_words": round(statistics.mean(len(turn["answer"].split()) for turn in turns), 2),
    }


def check_split(table: str, rows: list[dict], drawings: pd.DataFrame, split: str) -> None:
    """AssertionError for equal rows, and for drawings of another split, which would leak held-out data into training."""
    allowed = set(drawings["drawing"][drawings["split"] == split])
    foreign = {drawing for row in rows for drawing in row["drawings"]} - allowed
    assert not foreign, f"{table} shows drawings that are not of split {split}: {sorted(foreign)[:3]}"
    assert len({row["uid"] for row in rows}) == len(rows), f"{table} has equal rows"


def _guesses(items: list[dict]) -> dict:
    """Number of items and, for tasks with one answer, the scores of two baselines.

    `chance` is a uniform guess among the choices, or among the answers of the category; `majority` is the best constant
    answer for each category, or the best constant position among the choices.
    """
    if any(len(row["answers"]) > 1 for row in items):
        return {"items": len(items)}
    answers: dict[str, Counter[str]] = {}
    positions: Counter[int] = Counter()
    for row in items:
        answers.setdefault("" if row["choices"] else row["category"], Counter())[row["answers"][0]] += 1
        if row["choices"]:
            positions[row["choices"].index(row["answers"][0])] += 1
    chance = [1 / len(row["choices"] or answers[row["category"]]) for row in items]
    majority = max(sum(max(counts.values()) for counts in answers.values()), *positions.values(), 0)
    return {
        "items": len(items),
        "chance": round(statistics.mean(chance), 4),
        "majority": round(majority / len(items), 4),
    }
