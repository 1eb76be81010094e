"""The worker pool that the settings ask for."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from importlib.util import find_spec

import torch

from synthpairs.runtime.engine.processes import VISIBLE, Processes
from synthpairs.runtime.engine.scheduler import WorkerPool
from synthpairs.runtime.settings import Runtime, origin

log = logging.getLogger(__name__)
UNUSED = {"local": ("address", "gpus"), "ray": ("devices",)}  # settings without effect, by engine


@contextmanager
def worker_pool(settings: Runtime) -> Iterator[WorkerPool | None]:
    """A pool, closed at the end; None when this process is to do the work.

    ValueError for settings that do not fit the machine, OSError when a Ray cluster cannot be reached.
    """
    pool = _pool(settings)
    with nullcontext() if pool is None else closing(pool):
        yield pool


def _pool(settings: Runtime) -> WorkerPool | None:
    if settings.workers == 0:
        return None
    check(settings)
    if settings.engine == "ray":
        from synthpairs.runtime.engine.ray_actors import RayActors

        return RayActors(settings)
    devices = _devices(settings.devices)
    size = len(devices) if settings.workers is None else settings.workers
    return Processes(size, devices) if size else None


def check(settings: Runtime) -> None:
    """ValueError for settings that do not fit the machine; a Ray cluster is not contacted. Warns of those without effect."""
    if settings.engine == "ray" and not find_spec("ray"):
        raise ValueError(
            f"{origin('engine')}: ray needs a package that is not installed: `pip install 'ray>=2.50'`, or set it to local"
        )
    if settings.engine == "local":
        _devices(settings.devices)
    for key in UNUSED[settings.engine]:
        if getattr(settings, key) is not None:
            log.warning("%s has no effect with engine: %s", origin(key), settings.engine)


def _devices(indices: list[int] | None) -> list[str]:
    """The chosen accelerators as CUDA_VISIBLE_DEVICES names them; None: all that this process can see."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    variable = os.environ.get(VISIBLE)
    visible = variable.split(",")[:count] if variable else [str(index) for index in range(count)]
    if indices is None:
        return visible
    if not indices:
        raise ValueError(f"{origin('devices')} must name an accelerator, or be null for all; got an empty list")
    for index in indices:
        if index >= count:
            known = f"this process can see {count}, counted from 0" if count else "this process can see none"
            note = "" if variable is None else f" ({VISIBLE} is {variable!r})"
            raise ValueError(f"{origin('devices')}: there is no accelerator {index}: {known}{note}")
    return [visible[index] for index in indices]
