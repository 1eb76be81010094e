"""The crew that the settings ask for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from synthpairs.execution.crew import Crew
from synthpairs.execution.engine import FILE, Engine
from synthpairs.execution.processes import VISIBLE, Processes


@contextmanager
def hired(engine: Engine) -> Iterator[Crew | None]:
    """A crew, killed at the end; None when this process is to do the work itself.

    ValueError for settings that do not fit the machine, OSError when there is no reaching a Ray cluster.
    """
    crew = _crew(engine)
    try:
        yield crew
    finally:
        if crew:
            crew.close()


def _crew(engine: Engine) -> Crew | None:
    if engine.workers == 0:
        return None
    if engine.kind == "ray":
        if not find_spec("ray"):
            raise ValueError(f"{FILE}: kind: ray is not installed; `pip install 'ray'`, or put back `kind: local`")
        from synthpairs.execution.actors import Actors

        return Actors(engine)
    devices = _devices(engine.devices)
    size = len(devices) if engine.workers is None else engine.workers
    return Processes(size, devices) if size else None


def _devices(wanted: list[int] | None) -> list[str]:
    """Accelerators as CUDA_VISIBLE_DEVICES names them, of those that this process may see."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    told = os.environ.get(VISIBLE)
    visible = told.split(",")[:count] if told else [str(number) for number in range(count)]
    if wanted is None:
        return visible
    for number in wanted:
        if number >= count:
            raise ValueError(f"{FILE}: devices: there is no accelerator {number}; {count} can be seen")
    return [visible[number] for number in wanted]
