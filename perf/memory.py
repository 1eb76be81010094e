"""The most memory that fine-tuning steps of one route take, in MiB: `python -m perf.memory ROUTE SHARD TOKENIZER`.

A process of its own for each route, for what one has taken the other would seem to take too.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path

import torch

from perf.paired import peak_mib
from perf.samples import read
from perf.steps import ROUTES, Course, Route, Steps
from synthpairs.core.config import load_params
from synthpairs.vlm.params import Finetune, Resampler, Vlm

STEPS = 3


def measured(route: Route, shard: Path, tokenizer: str) -> float:
    """Run this module; ValueError with the last line of what it said when it fails."""
    command = [sys.executable, "-m", "perf.memory", route, str(shard), tokenizer]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = "".join(done.stderr.strip().splitlines()[-1:])
        raise ValueError(f"{' '.join(command)} ended with exit code {done.returncode}: {said or 'it said nothing'}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Train for a few steps, then print the peak: the accelerator's if there is one, else the process's."""
    name, shard, tokenizer = sys.argv[1:]
    route = next(route for route in ROUTES if route == name)
    resampler = dataclasses.replace(load_params(Resampler, "resampler"), tokenizer=tokenizer)
    course = Course("finetune", load_params(Vlm, "vlm"), resampler, load_params(Finetune, "finetune_codes"))
    Steps(course, read(Path(shard))).run(route, STEPS)
    print(torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else peak_mib())


if __name__ == "__main__":
    main()
