"""Scheduling of batches on a worker pool: dead workers are replaced, items that kill workers are isolated.

The same code drives processes and Ray actors. Every batch comes back exactly once, as a result or item by item as Poisoned;
a worker that dies or hangs costs no more than its batch's time; and the run ends.
"""

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

log = logging.getLogger(__name__)
POLL_S = 1.0  # between two checks for workers that have timed out
Worker = Callable[[Sequence[Any]], Any]  # makes the result of one batch
Factory = Callable[[], Worker]  # picklable; called once in each worker's process, where it loads the model


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to one worker: it is ready, a batch is done (value: its result), it raised, or it died (the reason)."""

    slot: int
    kind: Literal["ready", "done", "raised", "died"]
    value: Any = None


class WorkerPool(Protocol):
    """Workers in numbered slots; the slot of a worker that has ended can be used again."""

    size: int  # slots
    device: str  # type of the device that its workers compute on, as torch names it: cpu, cuda

    def start(self, slot: int, factory: Factory) -> None:
        """Start a worker in a free slot; event: ready, raised or died."""

    def submit(self, slot: int, batch: Sequence[Any]) -> None:
        """Give a batch to a ready worker; event: done, raised or died."""

    def poll(self, seconds: float) -> list[Event]:
        """Events so far; waits at most this long for the first one."""

    def kill(self, slot: int) -> None:
        """Kill the worker in a slot, whatever it does; no event of it follows."""

    def close(self) -> None:
        """Kill all workers."""


def portable_error(error: Exception) -> Exception:
    """The error as it is sent between processes: errors of the user's unchanged, others with their traceback as text."""
    if type(error) in (ValueError, FileNotFoundError):
        return type(error)(str(error))
    return RuntimeError(f"in a worker: {''.join(traceback.format_exception(error)).strip()}")


@dataclass(frozen=True, slots=True)
class Poisoned:
    """Takes the place of a result for a batch of one item that killed every worker it was given to."""

    reason: str


@dataclass(slots=True)
class _Job:
    """A batch, and how many more workers may die of it before it is split or given up."""

    items: Sequence[Any]
    tries: int


def run(
    batches: Iterable[Sequence[Any]], factory: Factory, pool: WorkerPool | None, tries: int, timeout_s: float
) -> Iterator[tuple[Sequence[Any], Any]]:
    """Each batch (or part of one) with its result, as they are finished; without a pool in order, in this process.

    Errors of the factory or a worker are raised here. A worker that dies, or that is silent for `timeout_s` seconds, is
    replaced and its batch is given to another. A batch that has killed `tries` workers is halved until the killing item is
    alone; when that has killed `tries` workers, it is returned with Poisoned. OSError when no worker becomes ready or workers
    keep dying. The caller closes the pool.
    """
    if pool is None:
        worker = factory()
        for batch in batches:
            yield batch, worker(batch)
        return
    yield from _Scheduler(pool, factory, tries, timeout_s).run(batches)


class _Scheduler:
    def __init__(self, pool: WorkerPool, factory: Factory, tries: int, timeout_s: float) -> None:
        self._pool, self._factory, self._tries, self._timeout_s = pool, factory, tries, timeout_s
        self._queue: deque[_Job] = deque()
        self._jobs: dict[int, _Job | None] = {}  # by slot, of the ready workers
        self._last_sign: dict[int, float] = {}  # by slot; time of a start, a submission or an event
        self._failed_starts = dict.fromkeys(range(pool.size), 0)  # in a row, by slot
        self._fruitless = 0  # workers in a row, of all slots, that died without a batch finished between them

    def run(self, batches: Iterable[Sequence[Any]]) -> Iterator[tuple[Sequence[Any], Any]]:
        self._queue.extend(_Job(batch, self._tries) for batch in batches)
        for slot in range(min(self._pool.size, len(self._queue))):
            self._start(slot)
        while self._queue or any(self._jobs.values()):
            self._submit()
            for event in self._pool.poll(min(POLL_S, self._timeout_s)):
                self._last_sign[event.slot] = time.monotonic()
                if event.kind == "raised":
                    raise event.value
                if event.kind == "died":
                    yield from self._replace(event.slot, event.value)
                elif event.kind == "ready":
                    self._jobs[event.slot], self._failed_starts[event.slot] = None, 0
                else:
                    job, self._jobs[event.slot], self._fruitless = self._jobs[event.slot], None, 0
                    assert job
                    yield job.items, event.value
            for slot in self._timed_out():
                yield from self._replace(slot, f"no sign of life for {self._timeout_s:g} s")

    def _start(self, slot: int) -> None:
        self._last_sign[slot] = time.monotonic()
        self._pool.start(slot, self._factory)

    def _submit(self) -> None:
        for slot in sorted(slot for slot, job in self._jobs.items() if job is None):
            if not self._queue:
                break
            self._jobs[slot] = job = self._queue.popleft()
            self._last_sign[slot] = time.monotonic()
            self._pool.submit(slot, job.items)

    def _timed_out(self) -> list[int]:
        """Slots of workers that have been loading or working in silence for too long."""
        oldest = time.monotonic() - self._timeout_s
        busy = [slot for slot in self._last_sign if slot not in self._jobs or self._jobs[slot]]
        return [slot for slot in busy if self._last_sign[slot] < oldest]

    def _replace(self, slot: int, reason: str) -> Iterator[tuple[Sequence[Any], Poisoned]]:
        """Free a slot, requeue its job, and start another worker if it is needed."""
        self._pool.kill(slot)
        del self._last_sign[slot]
        ready, job = slot in self._jobs, self._jobs.pop(slot, None)
        log.warning("worker %d ended (%s)%s", slot, reason, "" if ready else " before it was ready")
        self._fruitless += 1
        if self._fruitless > 3 * self._tries + 10:  # more than it takes to isolate an item in the largest batch
            raise OSError(f"{self._fruitless} workers in a row ended without finishing a batch, the last by {reason}")
        if not ready:
            self._failed_starts[slot] += 1
        if job:
            yield from self._requeue(job, reason)
        if self._failed_starts[slot] < self._tries:
            if self._queue:
                self._start(slot)
        elif not self._last_sign:
            raise OSError(f"no worker becomes ready; the last one ended by {reason}")

    def _requeue(self, job: _Job, reason: str) -> Iterator[tuple[Sequence[Any], Poisoned]]:
        job.tries -= 1
        if job.tries:
            self._queue.appendleft(job)
        elif len(job.items) == 1:
            yield job.items, Poisoned(f"{self._tries} workers ended over it, the last by {reason}")
        else:
            middle = len(job.items) // 2
            for part in (job.items[middle:], job.items[:middle]):
                # A part of several items that kills its first worker is halved at once.
                self._queue.appendleft(_Job(part, 1 if len(part) > 1 else self._tries))
