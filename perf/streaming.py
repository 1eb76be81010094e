"""Memory and CPU time of curating millions of captions without models: `python -m perf.streaming`.

Temporary files go to .dvc/tmp. Linux only: memory is that of this process and its workers in /proc.
"""

import argparse
import dataclasses
import os
import random
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from perf.paired import at_least
from synthpairs.captions.filtering import filter_captions
from synthpairs.captions.models import load_models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption
from synthpairs.captions.tables import write_filtered
from synthpairs.core.config import load_params
from synthpairs.core.storage import WorkStore
from synthpairs.runtime.stage import run_stage

INTERVAL_S = 0.5  # between two readings of memory
ADJECTIVES = (
    "red", "small", "wooden", "bright", "rusty", "old", "striped", "huge", "dark", "empty", "round", "white", "tall",
)  # fmt: skip
RELATIONS = ("next to", "in front of", "under", "far behind", "on top of", "beside", "above", "near")
SYLLABLES = [
    first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u", "an", "er", "il", "ot")
]


def captions(count: int) -> Iterator[Caption]:
    """Captions of one or two clauses about 20,000 made-up words of skewed frequency; one in ten repeats an earlier caption."""
    rng = random.Random(0)
    nouns = ["".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 4)))) for _ in range(20_000)]
    earlier = [""]
    for number in range(count):
        clauses = [
            f"a {rng.choice(ADJECTIVES)} {nouns[int(20_000 * rng.random() ** 3)]} {rng.choice(RELATIONS)} "
            f"the {rng.choice(ADJECTIVES)} {nouns[int(20_000 * rng.random() ** 3)]}"
            for _ in range(rng.choice((1, 2)))
        ]
        text = rng.choice(earlier) if rng.random() < 0.1 else " and ".join(clauses)
        if number < 10_000:
            earlier.append(text)
        else:
            earlier[rng.randrange(10_000)] = text
        yield Caption(text=text, source="made-up", concept="")


class MemoryMonitor(threading.Thread):
    """Peak memory of this process and its children together; shared pages count once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0  # KiB
        self._done = threading.Event()

    def run(self) -> None:
        """Measure until stopped."""
        while not self._done.wait(INTERVAL_S):
            children = [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]
            self.peak = max(self.peak, sum(map(_proportional_memory, ["self", *children])))

    def stop(self) -> None:
        """End the thread."""
        self._done.set()
        self.join()


def _proportional_memory(pid: str) -> int:
    """KiB of a process (PSS: each shared page is divided among the processes that share it); 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.streaming")
    parser.add_argument("--captions", type=int, default=10_000_000, help="how many (default: 10000000)")
    count = parser.parse_args().captions
    at_least(1, captions=count)
    params = load_params(CaptionParams, "captions")
    perplexity = dataclasses.replace(params.perplexity, engine="none")
    judge = dataclasses.replace(params.judge, engine="none")
    params = dataclasses.replace(params, perplexity=perplexity, judge=judge, blip=None)
    started = time.process_time()
    for _ in captions(min(count, 100_000)):
        pass
    making = (time.process_time() - started) * count / min(count, 100_000)  # not to be counted
    models, monitor, started = load_models(params), MemoryMonitor(), time.process_time()
    with tempfile.TemporaryDirectory(dir=".dvc/tmp") as folder:
        os.environ["DVC_ROOT"] = folder
        monitor.start()
        with WorkStore("captions", "perf").locked() as store:
            curated = filter_captions(captions(count), params, models, store)
            metrics = write_filtered(curated, models, Path(folder, "captions"))
        monitor.stop()
    here = time.process_time() - started - making
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    rejected = ", ".join(f"{number} {reason}" for reason, number in metrics["source"]["made-up"]["rejected"].items())
    print(
        f"{count} captions, {metrics['kept_total']} kept ({rejected}): {here:.0f} CPU seconds here and "
        f"{workers.ru_utime + workers.ru_stime:.0f} in workers, {monitor.peak / 2**20:.2f} GiB at peak"
    )


if __name__ == "__main__":
    run_stage(main)
