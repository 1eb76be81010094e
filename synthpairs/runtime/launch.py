"""Distributed training: a stage starts itself again under a launcher, which DVC does not see.

With `SYNTHPAIRS_LAUNCH="torchrun --standalone --nproc-per-node 8"` each training stage runs in eight processes;
`torchrun --standalone --nproc-per-node 8 -m stages.finetune ARM` does the same by hand. On several nodes with a common file
system, DVC runs on the first with `torchrun --nnodes 2 --rdzv-backend c10d --rdzv-endpoint HOST:29500 ...` as its launcher,
and that command is run by hand on the others.
"""

import os
import shlex
import sys

from synthpairs.runtime.settings import load_runtime, origin

GROUP = "SYNTHPAIRS_GROUP"  # the stage's process group: a launcher starts its processes in groups of their own


def relaunch() -> None:
    """Replace this process by the same stage under the launcher that is set; nothing in a process that one has started."""
    command = shlex.split(load_runtime().launch or "")
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
        sys.exit(f"{origin('launch')}: {command[0]} cannot be run: {error.strerror}")


def processes() -> int:
    """Number of processes of this training on all nodes; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if "LOCAL_RANK" in os.environ else 1


def is_main_process() -> bool:
    """Whether this is the process that writes: rank 0, or the only one."""
    return "LOCAL_RANK" not in os.environ or os.environ["RANK"] == "0"


def local_world_size() -> int:
    """Number of processes of this training on this node."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def local_rank() -> int:
    """Index of this process on this node, and of its GPU; 0 without a launcher."""
    return int(os.environ.get("LOCAL_RANK", "0"))
