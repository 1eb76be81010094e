"""A crew of Ray actors, on the nodes of a running cluster or of one that is started on this machine for the run.

The package synthpairs travels to the nodes with the run (Ray's `py_modules`); the libraries that it uses must be installed
there in the driver's versions, and models named by a directory must lie at the same path (those of the hub are fetched).
Results come back through Ray to the driver, which alone writes: no disk is shared. A lost node is Ray's to notice.
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
from synthpairs.runtime.engine.crew import Factory, News, Worker, portable
from synthpairs.runtime.engine.engine import Engine, named

log = logging.getLogger(__name__)
CONNECT_S = 10.0  # in which a cluster's head must answer; Ray itself goes on trying for more than ten minutes
# Ray puts the machine's public address in the place of 127.0.0.1; macOS has no second loopback address, but there it does not.
LOOPBACK = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"


class Actors:
    """Actors of one GPU each where there are any. OSError when the cluster cannot be reached, ValueError for a bad address."""

    def __init__(self, engine: Engine) -> None:
        environment = {"py_modules": [str(Path(synthpairs.__file__).parent)], "env_vars": engine.environment()}
        alone = {} if engine.address else _of_its_own()
        if engine.address:
            _find(engine.address)
        try:
            ray.init(
                engine.address or "local",
                runtime_env=environment,
                log_to_driver=False,
                configure_logging=False,  # how this process logs is its own affair
                **alone,
            )
        except Exception as error:  # of any class, as when a node of its own does not start in time
            raise OSError(
                f"Ray at {engine.address or 'this machine'}: {' '.join(str(error).split())}{_advice(engine.address)}"
            ) from None
        there = ray.cluster_resources().get("GPU", 0.0)
        gpus = float(there > 0) if engine.gpus is None else engine.gpus
        nodes = sum(node["Alive"] for node in ray.nodes())
        if there < gpus:
            log.warning("%s: each worker waits for %g, and the cluster has %g by now", named("gpus"), gpus, there)
        self.size = engine.workers or max(1, int(there / gpus) if gpus else nodes)
        self.device = "cuda" if gpus else "cpu"
        self._kind: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Host)
        self._at: dict[int, Any] = {}
        self._awaited: dict[ray.ObjectRef, int] = {}

    def start(self, place: int, factory: Factory) -> None:
        """See Crew."""
        self._at[place] = actor = self._kind.remote()
        self._awaited[actor.load.remote(pickle.dumps(factory), os.getcwd())] = place

    def give(self, place: int, batch: Sequence[Any]) -> None:
        """See Crew."""
        self._awaited[self._at[place].work.remote(batch)] = place

    def news(self, seconds: float) -> list[News]:
        """See Crew."""
        if not self._awaited:
            time.sleep(seconds)
            return []
        there, _ = ray.wait(list(self._awaited), num_returns=1, timeout=seconds)
        return [self._told(reference, self._awaited.pop(reference)) for reference in there]

    def end(self, place: int) -> None:
        """See Crew."""
        ray.kill(self._at.pop(place))
        self._awaited = {reference: other for reference, other in self._awaited.items() if other != place}

    def close(self) -> None:
        """See Crew."""
        for place in list(self._at):
            self.end(place)
        ray.shutdown()

    def _told(self, reference: "ray.ObjectRef", place: int) -> News:
        try:
            return News(place, *ray.get(reference))
        except RayError as error:
            return News(place, "died", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])


class _Host:
    """An actor around a worker; exceptions are answers, so that what Ray raises is always about the actor itself."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def load(self, factory: bytes, folder: str) -> tuple[str, Any]:
        if Path(folder).is_dir():  # models may be named by a path that begins at the project's root
            os.chdir(folder)
        try:
            self._worker = pickle.loads(factory)()
        except Exception as error:
            return "raised", portable(error)
        return "ready", None

    def work(self, batch: Sequence[Any]) -> tuple[str, Any]:
        assert self._worker
        try:
            return "done", self._worker(batch)
        except Exception as error:
            return "raised", portable(error)


def _of_its_own() -> dict[str, Any]:
    """Arguments of a cluster for this run alone: nobody else can reach it, and nothing of it stays in the home directory."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    return {"include_dashboard": False, "_node_ip_address": LOOPBACK}


def _find(address: str) -> None:
    """ValueError for what is no address, OSError when nobody answers at one."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError(f"{named('address')} must be auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise OSError(
            f"Ray at {address}: nobody answers ({error}); is its head running, and is this its port?"
        ) from None


def _advice(address: str | None) -> str:
    """What to do when there is no cluster where `auto` looks: Ray names options that we do not have."""
    if address != "auto":
        return ""
    return f"; here: `ray start --head`, or `ray start --address HOST:PORT` to join others, or {named('address')} HOST:PORT"
