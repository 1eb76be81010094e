"""Peak memory of fine-tuning steps of one route, in MiB: `python -m perf.memory ROUTE SHARD TOKENIZER`.

Each route has a process of its own, as the peak of a process never falls.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import torch

from perf.paired import peak_mib
from perf.samples import read
from perf.steps import ROUTES, Route, Setup, Steps
from synthpairs.core.config import load_params
from synthpairs.vlm.params import Finetune, Resampler, Vlm

STEPS = 3


def measured(route: Route, shard: Path, tokenizer: str) -> float:
    """Peak memory in MiB, from a process that runs this module; ValueError with its last line of output when it fails."""
    command = [sys.executable, "-m", "perf.memory", route, str(shard), tokenizer]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        line = "".join(done.stderr.strip().splitlines()[-1:])
        raise ValueError(f"{' '.join(command)} ended with exit code {done.returncode}: {line or 'no output'}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Train for a few steps, then print the peak of the accelerator, or without one that of the process."""
    name, shard, tokenizer = sys.argv[1:]
    route = next(route for route in ROUTES if route == name)
    resampler = dataclasses.replace(load_params(Resampler, "resampler"), tokenizer=tokenizer)
    setup = Setup("finetune", load_params(Vlm, "vlm"), resampler, load_params(Finetune, "finetune_codes"))
    Steps(setup, read(Path(shard))).run(route, STEPS)
    print(torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else peak_mib())


if __name__ == "__main__":
    main()
