"""Instructions and benchmarks about three things for tiny projects, and made-up answers of two arms under three seeds."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE
from tests.vlm.conftest import _png

CONCEPTS = ["dog", "cat", "bus"]
ARMS = ["selected", "real"]
SEEDS = ["run", "1", "2"]


@pytest.fixture
def write_tasks() -> Callable[[Path, list[str]], None]:
    """Writes what stage `tasks` does: instructions, and six items of each of the benchmarks named."""
    from synthpairs.core.schema import BENCHMARK, INSTRUCTIONS
    from synthpairs.core.storage import write_bytes, write_table
    from synthpairs.emoji.tasks.definitions import definitions

    def write(folder: Path, tasks: list[str]) -> None:
        turns = [{"question": "What is this?", "answer": "dog"}]
        rows = [{"uid": str(n), "task": "single", "turns": turns, "picture": _png(n), "drawings": []} for n in range(8)]
        write_table(folder / "instructions.parquet", rows, INSTRUCTIONS)
        for task in tasks:
            items = [
                {"uid": f"{task}{n}", "question": "What is this?", "answers": [CONCEPTS[n % 3], "a thing"], "choices": None,
                 "category": "single", "concept": CONCEPTS[n % 3], "picture": _png(n), "drawings": []}
                for n in range(6)
            ]  # fmt: skip
            write_table(folder / f"{task}.parquet", items, BENCHMARK)
            for name, text in definitions().items():
                if name.startswith(task):
                    write_bytes(folder / name, text.encode())

    return write


def made_up_answers(better=(0.0, 0.0, 0.0), lost=(0.0, 0.0, 0.0), rate=(0.5, 0.5, 0.5), right=0.9):
    """Answers to 120 items about 40 concepts; by seed: how much more `real` answers right, and how many nats it has lost; and of
    both arms the win rate of synthetic pictures; `right`: how often the control is answered so.
    """
    rng, rows = np.random.default_rng(0), []
    for arm, (index, seed), item in itertools.product(ARMS, enumerate(SEEDS), range(120)):
        row = {"set": arm, "seed": seed, "uid": f"{item:03}", "concept": str(item // 3)}
        gain = better[index] * (arm == "real")
        rows.append(row | {"task": "desk_vqa", "score": float(rng.random() < 0.4 + gain)})
        rows.append(row | {"task": LOSS, "score": 4 + 0.3 * np.sin(item) + lost[index] * (arm == "real")})
        rows.append(row | {"task": PREFERENCE, "score": float(rng.random() < rate[index])})
        rows.append(row | {"task": CONTROL, "score": float(rng.random() < right)})
    for name, seed, item in itertools.product(["llm", "untrained"], SEEDS, range(120)):
        row = {"set": name, "seed": seed, "uid": f"{item:03}", "concept": str(item // 3)}
        rows.append(row | {"task": LOSS, "score": 4 + 0.3 * np.sin(item)})
    return pd.DataFrame(rows)
