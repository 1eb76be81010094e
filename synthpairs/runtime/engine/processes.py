"""A crew of processes on this machine, one for each accelerator unless the settings say otherwise.

A worker ends when the driver does, however that ends, so a killed run leaves nothing behind that holds an accelerator. It
writes no file: results go through a pipe to the driver, the one owner of the work store.
"""

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from synthpairs.runtime.engine.crew import Factory, News, portable

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Processes:
    """`size` processes on the accelerators called `devices` (as CUDA_VISIBLE_DEVICES has them), or on the CPU."""

    def __init__(self, size: int, devices: Sequence[str]) -> None:
        self.size = size
        self.device = "cuda" if devices else "cpu"
        self._devices = devices
        self._at: dict[int, tuple[SpawnProcess, Connection]] = {}
        self._inbox: queue.SimpleQueue[tuple[SpawnProcess, News]] = queue.SimpleQueue()

    def start(self, place: int, factory: Factory) -> None:
        """See Crew."""
        context = multiprocessing.get_context("spawn")  # a forked process could not use an accelerator
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, pickle.dumps(factory)))
        with _seeing(self._devices[place % len(self._devices)] if self._devices else None):
            process.start()
        theirs.close()
        self._at[place] = process, ours
        threading.Thread(target=self._listen, args=(place, process, ours), daemon=True).start()

    def give(self, place: int, batch: Sequence[Any]) -> None:
        """See Crew."""
        with contextlib.suppress(OSError):  # it has just died, which its listener tells
            self._at[place][1].send(batch)

    def news(self, seconds: float) -> list[News]:
        """See Crew."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._inbox.get(timeout=seconds))
            while True:
                found.append(self._inbox.get_nowait())
        return [news for process, news in found if self._at.get(news.place, (None,))[0] is process]

    def end(self, place: int) -> None:
        """See Crew."""
        process, _ = self._at.pop(place)
        process.kill()
        process.join()

    def close(self) -> None:
        """See Crew."""
        for place in list(self._at):
            self.end(place)

    def _listen(self, place: int, process: SpawnProcess, connection: Connection) -> None:
        """Pass on what a worker says; a thread for each, so that one that stops amid a sentence keeps nobody waiting."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._inbox.put((process, News(place, *connection.recv())))
        process.join()
        self._inbox.put((process, News(place, "died", _ending(process.exitcode))))


def _serve(connection: Connection, factory: bytes) -> None:
    """A worker's process: make the worker, then work on what comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the driver says who ends
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    try:
        worker = pickle.loads(factory)()
        connection.send(("ready", None))
        while True:
            connection.send(("done", worker(connection.recv())))
    except EOFError:
        return
    except Exception as error:
        connection.send(("raised", portable(error)))


def _end_with_the_driver() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


@contextlib.contextmanager
def _seeing(device: str | None) -> Iterator[None]:
    """A process started in here sees this accelerator alone; None changes nothing."""
    before = os.environ.get(VISIBLE)
    if device is not None:
        os.environ[VISIBLE] = device
    try:
        yield
    finally:
        if device is not None:
            del os.environ[VISIBLE]
        if before is not None:
            os.environ[VISIBLE] = before


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"
