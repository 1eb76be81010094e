"""Disk space of the work stores (synthpairs.core.storage.WorkStore), and deletion of those that no run can resume."""

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthpairs.core.source import ROOT
from synthpairs.core.storage import RECIPE, code_folder, remove_store, work_folder
from synthpairs.generation.diffusion.params import RECIPE as IMAGES
from synthpairs.generation.masked.params import RECIPE as TOKENS

EXPERIMENTS = ROOT / "synthpairs/experiments"  # whose trials outlast changes of their stage


@dataclass(frozen=True, slots=True)
class Store:
    """One work store on the disk."""

    path: Path
    size: int  # bytes
    current: bool  # made by the present code, so a run can resume it
    in_use: bool  # locked by a run


def work_stores() -> Iterator[Store]:
    """All work stores of this project."""
    files = [ROOT / "synthpairs/__main__.py", *(ROOT / "stages").rglob("[!_]*.py"), *EXPERIMENTS.glob("[!_]*.py")]
    codes = {code_folder(".".join(file.relative_to(ROOT).with_suffix("").parts)) for file in files}
    recipes = {"images": f"{RECIPE}{IMAGES}", "generate_tokens": f"{RECIPE}{TOKENS}"}
    for lock in sorted(work_folder().rglob(".lock")):
        size = sum(file.stat().st_size for file in lock.parent.rglob("*") if file.is_file())
        parts = lock.parent.relative_to(work_folder()).parts
        yield Store(lock.parent, size, parts[-2] in {*codes, recipes.get(parts[0])}, _locked(lock))


def _locked(path: Path) -> bool:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def clean(everything: bool = False) -> tuple[list[Store], list[Store]]:
    """Delete the stores of other code, or all, except those in use; returns the deleted ones and the others."""
    stores = list(work_stores())
    freed = [store for store in stores if not store.in_use and (everything or not store.current)]
    for store in freed:
        remove_store(store.path)
    return freed, [store for store in stores if store not in freed]
