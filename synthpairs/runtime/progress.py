"""Progress of long work: a bar on a terminal, otherwise a log line now and then; both with rate and time left."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

log = logging.getLogger(__name__)
INTERVAL_S = 10.0  # between log lines


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """Yields `advance(count)`, to be called as items are finished."""
    if sys.stderr.isatty():
        with tqdm(total=total, desc=what, unit=f" {unit}") as bar:
            yield bar.update
        return
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= INTERVAL_S or done >= total:
            last = now
            rate = done / max(now - started, 1e-9)
            left = time.strftime("%H:%M:%S", time.gmtime((total - done) / rate)) if done else "unknown"
            log.info("%s: %d of %d %s, %.2f/s, %s left", what, done, total, unit, rate, left)

    yield advance
