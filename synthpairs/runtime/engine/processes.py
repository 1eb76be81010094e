"""Worker processes on this machine, one per accelerator unless the settings say otherwise.

A worker ends with the driver, however that ends, so a killed run leaves nothing behind that holds an accelerator. Workers
write no files: results go through a pipe to the driver, the only one that writes into the work store.
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

from synthpairs.runtime.engine.scheduler import Event, Factory, portable_error
from synthpairs.runtime.parent import end_with_parent

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Processes:
    """WorkerPool of `size` processes on the named `devices` (as in CUDA_VISIBLE_DEVICES, in turn), or on the CPU."""

    def __init__(self, size: int, devices: Sequence[str]) -> None:
        self.size = size
        self.device = "cuda" if devices else "cpu"
        self._devices = devices
        self._workers: dict[int, tuple[SpawnProcess, Connection]] = {}
        self._events: queue.SimpleQueue[tuple[SpawnProcess, Event]] = queue.SimpleQueue()

    def start(self, slot: int, factory: Factory) -> None:
        """See WorkerPool."""
        context = multiprocessing.get_context("spawn")  # a forked process could not use an accelerator
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, pickle.dumps(factory), os.getpid()))
        with _only_visible(self._devices[slot % len(self._devices)] if self._devices else None):
            process.start()
        theirs.close()
        self._workers[slot] = process, ours
        threading.Thread(target=self._listen, args=(slot, process, ours), daemon=True).start()

    def submit(self, slot: int, batch: Sequence[Any]) -> None:
        """See WorkerPool."""
        with contextlib.suppress(OSError):  # it has just died, which its listener reports
            self._workers[slot][1].send(batch)

    def poll(self, seconds: float) -> list[Event]:
        """See WorkerPool."""
        events = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(timeout=seconds))
            while True:
                events.append(self._events.get_nowait())
        return [event for process, event in events if self._workers.get(event.slot, (None,))[0] is process]

    def kill(self, slot: int) -> None:
        """See WorkerPool."""
        process, _ = self._workers.pop(slot)
        process.kill()
        process.join()

    def close(self) -> None:
        """See WorkerPool."""
        for slot in list(self._workers):
            self.kill(slot)

    def _listen(self, slot: int, process: SpawnProcess, connection: Connection) -> None:
        """Queue a worker's events; one thread per worker, so that a message cut short blocks nobody else."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._events.put((process, Event(slot, *connection.recv())))
        process.join()
        code = process.exitcode or 0
        reason = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        self._events.put((process, Event(slot, "died", reason)))


def _serve(connection: Connection, factory: bytes, driver: int) -> None:
    """Main function of a worker process: load the model, then work on batches until the pipe is closed."""
    end_with_parent(signal.SIGKILL, driver)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver ends its workers
    try:
        worker = pickle.loads(factory)()
        connection.send(("ready", None))
        while True:
            connection.send(("done", worker(connection.recv())))
    except EOFError:
        return
    except Exception as error:
        connection.send(("raised", portable_error(error)))


@contextlib.contextmanager
def _only_visible(device: str | None) -> Iterator[None]:
    """A process started within sees this accelerator alone; None changes nothing."""
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
