"""Ending with the parent process, however it ends: no orphan works on, holds a lock or writes into the outs."""

import ctypes
import os
import select
import signal
import sys
import threading
from pathlib import Path

PR_SET_PDEATHSIG = 1


def end_with_parent(number: int, parent: int) -> None:
    """On Linux have the kernel send this process the signal when the process `parent` ends, and end at once if it has.

    The kernel counts the thread that started this process as its parent. The setting outlives an exec, but not a fork.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


def end_with_dvc() -> None:
    """End a stage with the `dvc` that started it, by SIGTERM; nothing in other processes.

    Called before heavy imports, which take seconds. `dvc` is the parent under a shell that replaces itself by its last command,
    as bash and zsh do, and the parent's parent under one that waits, as dash does.
    """
    if not os.environ.get("DVC_STAGE"):
        return
    dvc = os.getppid()
    end_with_parent(signal.SIGTERM, dvc)
    if sys.platform == "linux" and Path(f"/proc/{dvc}/comm").read_text().strip() in ("sh", "dash"):
        dvc = int(Path(f"/proc/{dvc}/stat").read_text().rpartition(")")[2].split()[1])
        threading.Thread(target=_end_with, args=[os.pidfd_open(dvc)], daemon=True).start()
    if "LOCAL_RANK" not in os.environ and os.getsid(dvc) != os.getsid(0):  # a launcher starts sessions of its own
        os._exit(1)  # `dvc` ended while Python started: the parent is a process of another session that adopts orphans


def _end_with(process: int) -> None:
    """Send this process SIGTERM when that of the descriptor ends."""
    select.select([process], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
