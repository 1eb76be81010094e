"""Instructions and benchmarks about three concepts, and made-up answers of two arms under three seeds."""

import itertools

import numpy as np
import pandas as pd

from synthpairs.core.schema import BENCHMARK, INSTRUCTIONS
from synthpairs.core.storage import write_bytes, write_table
from synthpairs.emoji.tasks.definitions import definitions
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE
from tests.vlm.conftest import _png

CONCEPTS = ["dog", "cat", "bus"]
ARMS = ["selected", "real"]
SEEDS = ["run", "1", "2"]


def write_tasks(folder, tasks, question="What is this?", concepts=CONCEPTS):
    """Write data/tasks: instructions, and six items of each of the benchmarks."""
    turns = [{"question": question, "answer": "dog"}]
    rows = [{"uid": str(n), "task": "single", "turns": turns, "picture": _png(n), "drawings": []} for n in range(8)]
    write_table(folder / "instructions.parquet", rows, INSTRUCTIONS)
    for task in tasks:
        things = [concepts[n % len(concepts)] for n in range(6)]
        items = [
            {"uid": f"{task}{n}", "question": question, "answers": [thing, "a thing"], "choices": None, "category": "single",
             "concept": thing, "picture": _png(n), "drawings": []}
            for n, thing in enumerate(things)
        ]  # fmt: skip
        write_table(folder / f"{task}.parquet", items, BENCHMARK)
        for name, text in definitions().items():
            if name.startswith(task):
                write_bytes(folder / name, text.encode())


def made_up_answers(better=(0.0, 0.0, 0.0), lost=(0.0, 0.0, 0.0), rate=(0.5, 0.5, 0.5), right=0.9):
    """Answers to 120 items about 40 concepts.

    By seed: the gain in accuracy of `real` and its loss in nats, and both arms' win rate of synthetic images; `right`
    is the accuracy on the control.
    """
    rng, rows = np.random.default_rng(0), []
    for name, (index, seed), item in itertools.product([*ARMS, "llm", "untrained"], enumerate(SEEDS), range(120)):
        scores = {LOSS: 4 + 0.3 * np.sin(item) + lost[index] * (name == "real")}
        if name in ARMS:
            scores["desk_vqa"] = float(rng.random() < 0.4 + better[index] * (name == "real"))
            scores |= {PREFERENCE: float(rng.random() < rate[index]), CONTROL: float(rng.random() < right)}
        row = {"set": name, "seed": seed, "uid": f"{item:03}", "concept": str(item // 3)}
        rows += [row | {"task": task, "score": score} for task, score in scores.items()]
    return pd.DataFrame(rows)
