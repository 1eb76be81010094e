"""Batches handed out to a crew and results taken back: lost workers are replaced, deadly items found and given up.

The same code drives processes and Ray actors. What it promises: every batch comes back exactly once, as a result or item by
item as Lost; no worker that dies or hangs costs more than its batch's time; and it ends.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from synthpairs.runtime.engine.crew import Crew, Factory

log = logging.getLogger(__name__)
LOOK_S = 1.0  # between two looks at who has been silent for too long


@dataclass(frozen=True, slots=True)
class Lost:
    """Instead of the result of a batch of one item, which killed every worker that took it."""

    reason: str


@dataclass(slots=True)
class _Job:
    """A batch, and how many workers may still die of it before it is split or given up."""

    items: Sequence[Any]
    lives: int
    last: str = ""  # how the latest of them ended


def run(
    batches: Iterable[Sequence[Any]], factory: Factory, crew: Crew | None, tries: int, lease_s: float
) -> Iterator[tuple[Sequence[Any], Any]]:
    """Each batch (or part of one) with its result, as they come; in order, and in this process, without a crew.

    What the factory or a worker raises ends the run and comes through; a worker that dies or says nothing for `lease_s`
    seconds is replaced, and its batch goes to another. A batch that killed `tries` is halved, and its halves again, until
    the item is alone that kills: when it has killed `tries`, it comes back with Lost. OSError when no worker gets ready or
    workers die whatever they do. The caller closes the crew.
    """
    if crew is None:
        worker = factory()
        for batch in batches:
            yield batch, worker(batch)
        return
    yield from _Foreman(crew, factory, tries, lease_s).run(batches)


class _Foreman:
    """Who has which job, and since when nothing was heard of them."""

    def __init__(self, crew: Crew, factory: Factory, tries: int, lease_s: float) -> None:
        self._crew, self._factory, self._tries, self._lease_s = crew, factory, tries, lease_s
        self._todo: deque[_Job] = deque()
        self._jobs: dict[int, _Job | None] = {}  # by place, of the ready
        self._heard: dict[int, float] = {}  # by place; when a worker was started or given a job, or spoke
        self._unready = dict.fromkeys(range(crew.size), 0)  # workers in a row that ended before they were ready
        self._vain = 0  # workers in a row, of all places, that ended without one finished batch between them

    def run(self, batches: Iterable[Sequence[Any]]) -> Iterator[tuple[Sequence[Any], Any]]:
        self._todo.extend(_Job(batch, self._tries) for batch in batches)
        for place in range(min(self._crew.size, len(self._todo))):
            self._start(place)
        while self._todo or any(self._jobs.values()):
            self._hand_out()
            for news in self._crew.news(min(LOOK_S, self._lease_s)):
                self._heard[news.place] = time.monotonic()
                if news.kind == "raised":
                    raise news.value
                if news.kind == "died":
                    yield from self._bury(news.place, news.value)
                elif news.kind == "ready":
                    self._jobs[news.place], self._unready[news.place] = None, 0
                else:
                    job, self._jobs[news.place], self._vain = self._jobs[news.place], None, 0
                    assert job
                    yield job.items, news.value
            for place in self._silent():
                yield from self._bury(place, f"no sign of life for {self._lease_s:g} s")

    def _start(self, place: int) -> None:
        self._heard[place] = time.monotonic()
        self._crew.start(place, self._factory)

    def _hand_out(self) -> None:
        for place in sorted(place for place, job in self._jobs.items() if job is None):
            if not self._todo:
                break
            self._jobs[place] = job = self._todo.popleft()
            self._heard[place] = time.monotonic()
            self._crew.give(place, job.items)

    def _silent(self) -> list[int]:
        """Places of workers that are loading or at work and have said nothing for too long."""
        before = time.monotonic() - self._lease_s
        waited_for = [place for place in self._heard if place not in self._jobs or self._jobs[place]]
        return [place for place in waited_for if self._heard[place] < before]

    def _bury(self, place: int, reason: str) -> Iterator[tuple[Sequence[Any], Lost]]:
        """Clear a place, see to the job that was there, and start another worker if there is need of one."""
        self._crew.end(place)
        del self._heard[place]
        ready, job = place in self._jobs, self._jobs.pop(place, None)
        log.warning("worker %d ended (%s)%s", place, reason, "" if ready else " before it was ready")
        self._vain += 1
        if self._vain > 3 * self._tries + 10:  # more than it takes to find a deadly item in the largest batch
            raise OSError(f"{self._vain} workers in a row ended without having finished anything, the last by {reason}")
        if not ready:
            self._unready[place] += 1
        if job:
            yield from self._again(job, reason)
        if self._unready[place] < self._tries:
            if self._todo:
                self._start(place)
        elif not self._heard:
            raise OSError(f"no worker gets ready; the last one ended by {reason}")

    def _again(self, job: _Job, reason: str) -> Iterator[tuple[Sequence[Any], Lost]]:
        job.lives -= 1
        if job.lives:
            self._todo.appendleft(job)
        elif len(job.items) == 1:
            yield job.items, Lost(f"{self._tries} workers ended over it, the last by {reason}")
        else:
            middle = len(job.items) // 2
            for part in (job.items[middle:], job.items[:middle]):  # a part that kills at once is halved at once
                self._todo.appendleft(_Job(part, 1 if len(part) > 1 else self._tries))
