"""A tiny project for learning curves: five captions as codes, real and generated, and six pictures to caption."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthpairs.benchmarks.definitions import definitions
from synthpairs.curves.measure import TASK, Setting
from synthpairs.curves.params import Curves, Reading
from synthpairs.embeddings.codes import encoded
from synthpairs.embeddings.mixing import Mixing
from synthpairs.schema import BENCHMARK, INSTRUCTIONS, REAL_PAIRS
from synthpairs.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.vlm.llava import Finetune
from synthpairs.vlm.training import Training
from tests.vlm.conftest import WORDS, _png, parts, resampler, training  # noqa: F401

GRID, CODES, CHANNELS = (2, 2), 32, 4  # of the tiny tokenizer
QUESTION = "Describe the picture."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Everything that a run reads; the codes of a pair say which of WORDS is its caption."""
    folder, rng = tmp_path / "data", np.random.default_rng(0)
    grids = rng.integers(0, CODES, (len(WORDS), *GRID)).astype(np.uint16)
    pairs = [
        {"key": f"k{n:02}", "text": WORDS[n % 5], "concept": "", "drawings": [], "tokens": grids[n % 5].ravel()}
        for n in range(24)
    ]
    write_table(folder / "pairs/pairs.parquet", pairs, REAL_PAIRS)
    write_json(folder / "pairs/list.json", {"grid": GRID})
    made = [(f"g{n}", encoded(grids[n], None, CODES) | {"txt": WORDS[n].encode()}) for n in range(len(WORDS))]
    write_bytes(folder / "embedded/shard-0.tar", shard_bytes(made))
    pd.DataFrame({"shard": "shard-0.tar", "key": [key for key, _ in made]}).to_parquet(
        folder / "embedded/manifest.parquet"
    )
    told = {"grid": GRID, "codes": CODES, "channels": CHANNELS, "vectors": "hard"}
    write_json(folder / "embedded/generator.json", {"inputs": told})
    turns = [{"question": "What is this?", "answer": "dog"}, {"question": QUESTION, "answer": "a dog"}]
    rows = [{"uid": str(n), "task": "single", "turns": turns[n % 2 :], "picture": _png(n)} for n in range(6)]
    rows += [{"uid": "named", "turns": turns[:1], "picture": _png(9)}, {"uid": "text", "turns": turns, "picture": None}]
    write_table(folder / "tasks/instructions.parquet", [row | {"drawings": []} for row in rows], INSTRUCTIONS)
    items = [
        {"uid": str(n), "question": QUESTION, "answers": [WORDS[n % 5], "a thing"], "category": "single",
         "concept": WORDS[n % 5], "picture": _png(n)}
        for n in range(6)
    ]  # fmt: skip
    write_table(
        folder / f"tasks/{TASK}.parquet", [item | {"choices": None, "drawings": []} for item in items], BENCHMARK
    )
    write_bytes(folder / f"tasks/{TASK}.yaml", definitions()[f"{TASK}.yaml"].encode())
    return folder


@pytest.fixture
def setting(data: Path, parts, resampler, training, monkeypatch) -> Callable[..., Setting]:  # noqa: F811
    """Makes a setting of ten steps; changes of its section `curves`. The work store goes to the test's own directory."""
    monkeypatch.setenv("DVC_ROOT", str(data.parent))
    values = {"seeds": [0, 1], "points": [0.25, 1.0], "items": 4, "reading": Reading(steps=1, learning_rate=0.01)}
    return lambda **changed: Setting(
        curves=Curves(**values | changed),
        mixing=Mixing(seed=7, draws=40, synthetic={"real-codes": 0.0, "genpair": 0.5}),
        align=Training(**training),
        finetune=Finetune(**training, start=None, projector_learning_rate=0.01, lora=None, instructions=None),
        vlm=parts,
        resampler=resampler,
        batch=4,
        data=data,
    )
