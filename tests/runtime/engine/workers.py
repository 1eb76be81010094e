"""Workers without a model, and items that make them fail. Worker processes import this module, so it imports little."""

import os
import signal
import time
from pathlib import Path


def upper_case(log):
    """Worker that returns items in upper case and appends its process id and each batch to `log`."""

    def work(batch):
        with log.open("a") as file:
            file.write(f"{os.getpid()} {','.join(batch)}\n")
        for item in batch:
            _act(item)
        return [item.upper() for item in batch]

    return work


def _act(item):
    """What an item makes a worker do: `deadly`, `raise:TEXT`, `slow:SECONDS`; `once:MARK` and `hang:MARK` the first time only."""
    action, _, argument = item.partition(":")
    if action == "deadly" or (action == "once" and _first_time(Path(argument))):
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "hang" and _first_time(Path(argument)):
        time.sleep(1000)
    if action == "raise":
        raise KeyError(argument)
    if action == "slow":
        time.sleep(float(argument))


def _first_time(mark):
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def raises_at_start(log):
    raise ValueError(f"params.yaml: nothing at {log.name}")


def dies_at_start(log):
    log.open("a").write(f"{os.getpid()}\n")
    os._exit(7)


def visible_devices():
    return lambda batch: os.environ.get("CUDA_VISIBLE_DEVICES")
