"""Results that are older than what they are made from, by the hashes and params in dvc.lock."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from synthpairs.core.config import flatten


def outdated(result: str, content: bytes, stages: Mapping[str, Any], params: Mapping[str, Any]) -> str | None:
    """First reason why a stage's out is outdated, or None; `stages` are those of dvc.lock, `params` flat.

    The stage that made it and all before that one must have run with these params, on the outs that dvc.lock has of each other.
    A file within an out is looked up in DVC's cache, and not checked where that lacks the folder.
    """
    made = {out["path"]: (name, out["md5"]) for name, entry in stages.items() for out in entry.get("outs", [])}
    if result not in made:
        return "no stage in dvc.lock made it"
    last, md5 = made[result]
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        return f"stage {last} left another file, by dvc.lock"
    names = [last]
    for name in names:  # to which those before it are added
        for section, value in stages[name].get("params", {}).get("params.yaml", {}).items():
            for key, used in flatten(value, prefix=section).items():
                if key not in params or params[key] != used:
                    return f"stage {name} ran with another {key} than params.yaml has"
        for dep in stages[name].get("deps", []):
            path = PurePath(dep["path"])
            out = next((out for out in made if path.is_relative_to(out)), None)
            if out is None:
                continue
            before, md5 = made[out]
            if dep["path"] != out:
                md5 = _files(md5).get(str(path.relative_to(out)), dep["md5"])
            if md5 != dep["md5"]:
                return f"stage {name} ran on another {path} than stage {before} made"
            if before not in names:
                names.append(before)
    return None


@cache
def _files(folder: str) -> dict[str, str]:
    """Hash of every file in a folder of DVC's cache by its path; empty if the cache does not have the folder."""
    from dvc.repo import Repo

    with Repo() as repo:
        path = Path(repo.cache.local.oid_to_path(folder))
    return {file["relpath"]: file["md5"] for file in json.loads(path.read_bytes())} if path.exists() else {}
