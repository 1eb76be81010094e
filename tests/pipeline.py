"""Stages of dvc.yaml and files of a commit, for the tests that compare them and for the flows."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from synthpairs.core.source import import_closure

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Stage:
    """A stage as DVC resolves it; paths are relative to the project's root."""

    address: str
    module: Path
    deps: frozenset[str]
    params: frozenset[tuple[str, str]]  # (file, key)
    cached: frozenset[str]
    uncached: frozenset[str]


def read_stages(root: Path, site: Path, repository: str = "") -> list[Stage]:
    """All stages of the DVC repository in a folder of a project; `site` is DVC's site cache."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    stages = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(site))
        patch.chdir(root / repository)  # DVC's addresses are relative to the working directory
        repo = Repo()
        for stage in repo.index.stages:
            command = stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd)
            module = re.match(r"python -m ([\w.]+)", command)
            assert module, f"{stage.addressing}: {command} does not start with `python -m`"

            def name(path, folder=stage.wdir):
                return os.path.relpath(os.path.join(folder, path), root)

            files = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            tracked = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            stages.append(
                Stage(
                    address=f"{repository}:{stage.addressing}" if repository else stage.addressing,
                    module=Path(module[1].replace(".", "/") + ".py"),
                    deps=frozenset(name(dep.def_path) for dep in files),
                    params=frozenset((name(dep.def_path), key) for dep in tracked for key in dep.params),
                    cached=frozenset(name(out.def_path) for out in stage.outs if out.use_cache),
                    uncached=frozenset(name(out.def_path) for out in stage.outs if not out.use_cache),
                )
            )
    return stages


def code_deps(module: Path) -> set[str]:
    """Code that a stage of dvc.yaml depends on: its module and the packages that it imports, `runtime` excepted.

    A package is a folder of synthpairs/, or of synthpairs/generation and synthpairs/evaluation, whose parts are stages.
    """

    def package(path: Path) -> Path:
        if path.parts[0] != "synthpairs":
            return path
        depth = 3 if path.parts[1] in ("generation", "evaluation") else 2
        return Path(*path.parts[:depth])

    return {package(path).as_posix() for path in import_closure(module)}


def git(*arguments: str) -> str:
    """Output of git in this repository, whatever its exit code."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout


def repository_files() -> list[str]:
    """Files that a commit of this working tree would hold."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def within(path: str | Path, folder: str | Path) -> bool:
    """Whether a path is the folder or lies below it."""
    return Path(path) == Path(folder) or Path(folder) in Path(path).parents
