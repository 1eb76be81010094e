"""Data sets of the hub on a machine without a network: `SYNTHPAIRS_DATASETS` names a directory of OWNER/NAME."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "SYNTHPAIRS_DATASETS"


def local_owners() -> list[Path]:
    """The directories OWNER of VARIABLE's directory; none when it is not set, FileNotFoundError when it is no directory."""
    if not (named := os.environ.get(VARIABLE)):
        return []
    if not Path(named).is_dir():
        raise FileNotFoundError(f"{VARIABLE} is {named!r}, which is no directory")
    return sorted(owner for owner in Path(named).absolute().iterdir() if owner.is_dir())


@contextlib.contextmanager
def local_first() -> Iterator[None]:
    """Work where `load_dataset("OWNER/NAME")`, which looks into the working directory first, finds them."""
    owners = local_owners()
    with contextlib.chdir(owners[0].parent) if owners else contextlib.nullcontext():
        yield
