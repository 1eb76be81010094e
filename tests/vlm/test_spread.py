"""A training in two processes is the training in one: the same order, the same global batch, the same curve; it resumes."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from synthpairs.vlm.llava import Align, Finetune, align

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spread(tmp_path):
    """Runs a training in processes of their own; returns its losses and metrics."""

    def run(count, function, *arguments, dies_at=0, **environment):
        call = tmp_path / f"{function}-{count}.call"
        call.write_bytes(pickle.dumps({"function": function, "arguments": arguments, "dies_at": dies_at}))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "tests.vlm.distributed", str(call)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | environment,
            capture_output=True,
            text=True,
        )
        if dies_at:
            assert done.returncode != 0
            return None
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(call.with_suffix(".json").read_text())

    return run


def test_two_processes_train_as_one_and_go_on_where_they_were_killed(
    spread, parts, pairs, instructions, training, tmp_path
):
    align(pairs(8), parts, Align(**training, start=None), tmp_path / "aligned")
    params = Finetune(
        **training | {"micro_batch": 1, "learning_rate": 1e-3},
        projector_learning_rate=None,
        lora=None,
        instructions=None,
        start=None,
    )

    def tuned(count, out, **settings):
        found = spread(
            count, "finetune", instructions(40), tmp_path / "aligned", parts, params, tmp_path / out, **settings
        )
        return found and (found["losses"], found["metrics"])

    one, expected = tuned(1, "one")
    two, metrics = tuned(2, "two")
    assert metrics.keys() == expected.keys()
    assert metrics["tokens"] == expected["tokens"]
    np.testing.assert_allclose(two, one, rtol=0.01)  # bfloat16, in other sums
    tuned(2, "two", dies_at=30)
    kept = sorted(path.name for path in Path(os.environ["DVC_ROOT"]).glob(".dvc/tmp/work/*/*/checkpoint-*"))
    assert kept == ["checkpoint-6"]
    resumed, _ = tuned(2, "again")
    assert resumed == two
    whole, again = (load_file(tmp_path / name / "model.safetensors") for name in ("two", "again"))
    assert all((whole[name] == again[name]).all() for name in whole)
