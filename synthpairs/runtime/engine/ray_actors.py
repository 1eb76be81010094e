"""Workers as Ray actors, on the nodes of a running cluster or of one that is started on this machine for the run.

Ray copies the package synthpairs to the nodes (`py_modules`); the libraries that it uses must be installed there in the
driver's versions, and models named by a directory must lie at the same path (those of the hub are fetched). Results come
back through Ray to the driver, the only one that writes, so no disk is shared. Ray notices lost nodes.
"""

import logging
import os
import pickle
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import ray
from ray.exceptions import RayError

import synthpairs
from synthpairs.runtime.engine.scheduler import Event, Factory, Worker, portable_error
from synthpairs.runtime.settings import Runtime, origin

log = logging.getLogger(__name__)
CONNECT_S = 10.0  # timeout for a cluster's head; Ray itself keeps trying for more than ten minutes
# On Linux, Ray replaces 127.0.0.1 by the machine's public address; macOS has no second loopback address.
LOOPBACK = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"


class RayActors:
    """WorkerPool of actors, with one GPU each where there are any.

    OSError for a cluster that cannot be reached, ValueError for what is no address.
    """

    def __init__(self, settings: Runtime) -> None:
        address = settings.address
        environment = {"py_modules": [str(Path(synthpairs.__file__).parent)], "env_vars": settings.environment()}
        options: dict[str, Any] = {}
        if address:
            _check_address(address)
        else:  # a cluster for this run alone: nobody else can reach it, and it leaves nothing in the home directory
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
            options = {"include_dashboard": False, "_node_ip_address": LOOPBACK}
        try:
            ray.init(
                address or "local", runtime_env=environment, log_to_driver=False, configure_logging=False, **options
            )
        except Exception as error:  # of any class, as when a node does not start in time
            raise OSError(
                f"Ray at {address or 'this machine'}: {' '.join(str(error).split())}{_advice(address)}"
            ) from None
        available = ray.cluster_resources().get("GPU", 0.0)
        gpus = float(available > 0) if settings.gpus is None else settings.gpus
        nodes = sum(node["Alive"] for node in ray.nodes())
        if available < gpus:
            log.warning("%s: each worker waits for %g, and the cluster has %g so far", origin("gpus"), gpus, available)
        self.size = settings.workers or max(1, int(available / gpus) if gpus else nodes)
        self.device = "cuda" if gpus else "cpu"
        self._actor_class: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._actors: dict[int, Any] = {}
        self._pending: dict[ray.ObjectRef, int] = {}  # slot by what Ray is to return

    def start(self, slot: int, factory: Factory) -> None:
        """See WorkerPool."""
        self._actors[slot] = actor = self._actor_class.remote()
        self._pending[actor.load.remote(pickle.dumps(factory), os.getcwd())] = slot

    def submit(self, slot: int, batch: Sequence[Any]) -> None:
        """See WorkerPool."""
        self._pending[self._actors[slot].work.remote(batch)] = slot

    def poll(self, seconds: float) -> list[Event]:
        """See WorkerPool."""
        if not self._pending:
            time.sleep(seconds)
            return []
        finished, _ = ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        return [self._event(reference, self._pending.pop(reference)) for reference in finished]

    def kill(self, slot: int) -> None:
        """See WorkerPool."""
        ray.kill(self._actors.pop(slot))
        self._pending = {reference: other for reference, other in self._pending.items() if other != slot}

    def close(self) -> None:
        """See WorkerPool."""
        for slot in list(self._actors):
            self.kill(slot)
        ray.shutdown()

    def _event(self, reference: "ray.ObjectRef", slot: int) -> Event:
        try:
            return Event(slot, *ray.get(reference))
        except RayError as error:
            return Event(slot, "died", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])


class _Actor:
    """A worker that returns its exceptions as events, so that what Ray raises is always about the actor itself."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def load(self, factory: bytes, folder: str) -> tuple[str, Any]:
        if Path(folder).is_dir():  # models may be named by a path relative to the project's root
            os.chdir(folder)
        try:
            self._worker = pickle.loads(factory)()
        except Exception as error:
            return "raised", portable_error(error)
        return "ready", None

    def work(self, batch: Sequence[Any]) -> tuple[str, Any]:
        assert self._worker
        try:
            return "done", self._worker(batch)
        except Exception as error:
            return "raised", portable_error(error)


def _check_address(address: str) -> None:
    """ValueError for what is no address, OSError when nothing answers there."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError(f"{origin('address')} must be auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise OSError(
            f"Ray at {address}: nobody answers ({error}); is its head running, and is this its port?"
        ) from None


def _advice(address: str | None) -> str:
    """What to do when `auto` finds no cluster: Ray's own message names options that do not exist here."""
    if address != "auto":
        return ""
    return f"; here: `ray start --head`, or `ray start --address HOST:PORT` to join others, or {origin('address')} HOST:PORT"
