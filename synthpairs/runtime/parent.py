"""Ending with the parent process, however it ends: no orphan works on, holds a lock or writes into the outs."""

import ctypes
import os
import signal
import sys

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

    Called before heavy imports, which take seconds. Under a shell that replaces itself by its last command, as bash and
    zsh do, `dvc` is the parent.
    """
    if not os.environ.get("DVC_STAGE"):
        return
    parent = os.getppid()
    end_with_parent(signal.SIGTERM, parent)
    if "LOCAL_RANK" not in os.environ and os.getsid(parent) != os.getsid(0):  # a launcher starts sessions of its own
        os._exit(1)  # `dvc` ended while Python started: the parent is a process of another session that adopts orphans
