"""Workers that need no model, and items that are bad for them. Processes import this module, so it imports little."""

import os
import signal
import time
from pathlib import Path


def steady(log):
    """Answers in upper case; writes its process id and each batch to `log`, which tests read."""

    def work(batch):
        with log.open("a") as file:
            file.write(f"{os.getpid()} {','.join(batch)}\n")
        for item in batch:
            _suffer(item)
        return [item.upper() for item in batch]

    return work


def _suffer(item):
    what, _, mark = item.partition(":")
    if what == "deadly" or (what == "once" and _first(Path(mark))):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang" and _first(Path(mark)):
        time.sleep(1000)
    if what == "raise":
        raise KeyError(mark)
    if what == "slow":
        time.sleep(float(mark))


def _first(mark):
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def unwilling(log):
    """Cannot be made: says what users can mend."""
    raise ValueError(f"params.yaml: nothing at {log.name}")


def stillborn(log):
    """Dies while it is made."""
    log.open("a").write(f"{os.getpid()}\n")
    os._exit(7)


def seeing():
    """Answers every batch with the accelerators that its process may see."""
    return lambda batch: os.environ.get("CUDA_VISIBLE_DEVICES")
