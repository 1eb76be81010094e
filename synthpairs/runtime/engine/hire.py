"""The crew that the settings ask for."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from synthpairs.runtime.engine.crew import Crew
from synthpairs.runtime.engine.engine import Engine, named
from synthpairs.runtime.engine.processes import VISIBLE, Processes

log = logging.getLogger(__name__)
IDLE = {"local": ("address", "gpus"), "ray": ("devices",)}  # settings that a kind of engine has no use for


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


def check(engine: Engine) -> None:
    """ValueError for settings that do not fit the machine; a Ray cluster is not asked. What is of no use is warned of."""
    if engine.kind == "ray" and not find_spec("ray"):
        raise ValueError(
            f"{named('kind')}: ray needs a package that is not installed: `pip install 'ray>=2.50'`, or say local"
        )
    if engine.kind == "local":
        _devices(engine.devices)
    for key in IDLE[engine.kind]:
        if getattr(engine, key) is not None:
            log.warning("%s is of no use with kind: %s", named(key), engine.kind)


def _crew(engine: Engine) -> Crew | None:
    if engine.workers == 0:
        return None
    check(engine)
    if engine.kind == "ray":
        from synthpairs.runtime.engine.actors import Actors

        return Actors(engine)
    devices = _devices(engine.devices)
    size = len(devices) if engine.workers is None else engine.workers
    return Processes(size, devices) if size else None


def _devices(wanted: list[int] | None) -> list[str]:
    """Accelerators as CUDA_VISIBLE_DEVICES names them, of those that this process may see."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = os.environ.get(VISIBLE)
    visible = devices.split(",")[:count] if devices else [str(number) for number in range(count)]
    if wanted is None:
        return visible
    if not wanted:
        raise ValueError(f"{named('devices')} must name an accelerator, or be null for all; got an empty list")
    seen = f"this process can see {count}, counted from 0" if count else "this process can see none"
    if devices is not None:
        seen += f" ({VISIBLE} is {devices!r})"
    for number in wanted:
        if number >= count:
            raise ValueError(f"{named('devices')}: there is no accelerator {number}: {seen}")
    return [visible[number] for number in wanted]
