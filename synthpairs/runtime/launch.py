"""A training in several processes, started and set from outside DVC's sight: how a thing is run never changes what it is.

With `SYNTHPAIRS_LAUNCH="torchrun --standalone --nproc-per-node 8"` each training stage starts itself anew under that
launcher; `torchrun --standalone --nproc-per-node 8 -m stages.finetune ARM` does the same by hand. Of several nodes with one
file system the first runs DVC with `torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint HOST:29500 ...` as its launcher,
the others run that command by hand. `SYNTHPAIRS_FSDP=on` divides weights, gradients and the optimiser's state among the
processes, `SYNTHPAIRS_RECOMPUTE=on` computes activations twice rather than hold them.
"""

import os
import shlex
import sys

GROUP = "SYNTHPAIRS_GROUP"  # the stage's process group: a launcher starts its processes in groups of their own


def relaunch() -> None:
    """Replace this process by the same stage under `SYNTHPAIRS_LAUNCH`; nothing without one, or in a process that it started."""
    command = shlex.split(os.environ.get("SYNTHPAIRS_LAUNCH", ""))
    if not command or "LOCAL_RANK" in os.environ:
        return
    if command[0] == "torchrun":  # of this environment, whatever PATH says
        command[:1] = [sys.executable, "-m", "torch.distributed.run"]
    spec = sys.modules["__main__"].__spec__
    assert spec, "stages are run as modules"
    os.environ.setdefault(GROUP, str(os.getpgrp()))
    try:
        os.execvp(command[0], [*command, "-m", spec.name, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"SYNTHPAIRS_LAUNCH: {command[0]} cannot be run: {error.strerror}")


def processes() -> int:
    """How many processes a launcher has started, this one included; 1 without one."""
    return int(os.environ["WORLD_SIZE"]) if "LOCAL_RANK" in os.environ else 1


def leads() -> bool:
    """Whether this is the process that writes: the first, or the only one."""
    return "LOCAL_RANK" not in os.environ or os.environ["RANK"] == "0"


def beside() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def local_rank() -> int:
    """Which of those this process is, and so which GPU is its own; 0 without a launcher."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def switched_on(name: str, default: str = "off") -> bool:
    """Whether an environment variable says `on`; ValueError when it says neither that nor `off`."""
    value = os.environ.get(name, default).lower()
    if value not in ("on", "off"):
        raise ValueError(f"{name} must be on or off, got {value!r}")
    return value == "on"
