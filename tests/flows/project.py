"""A project in a folder of its own, and commands of users that run there."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.flows.reads import reads, watch
from tests.pipeline import ROOT, repository_files

OURS = ("DVC_", "GIT_", "MLFLOW_", "SYNTHPAIRS_", "HF_", "PYTHON")
executed: list[str] = []  # every line that a flow has run, to compare with the documents


def environment(base):
    """Environment without settings of this machine, for commands that write only below `base`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(base / "home"),
        "STORE": str(base / "store"),
        "URL": str(base / "project"),
        "COLUMNS": "4000",  # of tables
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(base / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(base / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(base / "system"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "HF_HUB_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TOKENIZERS_PARALLELISM": "false",
    }


@dataclass(frozen=True)
class Project:
    """A directory, and the environment of commands in it."""

    path: Path
    env: dict[str, str] = field(repr=False)

    def run(self, commands, seconds=900):
        """Output of shell commands, which must all succeed within so many seconds."""
        executed.extend(filter(None, commands.splitlines()))
        with subprocess.Popen(
            ["sh", "-e", "-c", commands],
            cwd=self.path, env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        ) as process:  # fmt: skip
            try:
                printed = process.communicate(timeout=seconds)[0]
            except BaseException:  # timeout or Ctrl-C: end what the shell has started
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert process.returncode == 0, f"{commands}: exit code {process.returncode}\n{printed[-6000:]}"
        return printed

    def commit(self, message):
        self.run(f"git add --all\ngit commit --quiet --allow-empty --message {shlex.quote(message)}")

    def changes(self):
        """Changed and new files by git."""
        return [line[3:].strip('"').rstrip("/") for line in self.run("git status --porcelain").splitlines()]

    def at(self, path):
        """The same environment in another directory."""
        return replace(self, path=path)

    def share_packages(self):
        """Use this checkout's package cache, so that packages are not downloaded again."""
        packages = ROOT / ".dvc/tmp/packages"
        packages.mkdir(parents=True, exist_ok=True)
        (self.path / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
        (self.path / ".dvc/tmp/packages").symlink_to(packages)

    def share_environment(self):
        """Link this environment, so that make finds it installed: its stamp is newer than the lock file."""
        (self.path / ".venv").mkdir()
        for entry in Path(sys.prefix).iterdir():
            if entry.name != ".installed":
                (self.path / ".venv" / entry.name).symlink_to(entry)
        (self.path / ".venv/.installed").touch()


def ran(printed):
    """Stages that DVC ran, by its output."""
    return re.findall(r"Running stage '(.+)'", printed)


def page_about_versions():
    """Code blocks of docs/dataset-versions.md, by the name behind the language: `sh publish v1`."""
    text = (ROOT / "docs/dataset-versions.md").read_text()
    blocks = re.findall(r"^```(\w+) ([^\n]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^```\w", text, re.MULTILINE)) == len(blocks), "every block must have a name"
    return {name: code for _, name, code in blocks}


def copy_of_this_tree(path, base):
    """The files of this working tree, committed in a repository of its own."""
    (base / "home").mkdir(exist_ok=True)
    for name in repository_files():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    project = Project(path, environment(base))
    project.run("git init --quiet --initial-branch main")
    project.commit("the repository")
    project.share_packages()
    return project


@dataclass(frozen=True)
class Smoke:
    """The project after `dvc repro` with the smoke preset, without MLflow; its results are published as version v1."""

    project: Project
    printed: str  # output of `dvc repro`
    again: str  # output of `make repro` afterwards
    changed: list[str]  # by git, afterwards
    reads: dict[str, set[str]]  # files that each stage opened for reading


def make_smoke(base):
    """Run the whole pipeline in a copy of this tree below `base`."""
    code = page_about_versions()
    project = copy_of_this_tree(base / "project", base)
    project.run(code["once"])
    project.run("python -m synthpairs preset smoke")
    project.commit("the smoke preset")
    watched = base / "watched"
    watched.mkdir()
    env = project.env | watch(watched) | {"SYNTHPAIRS_TRACKING": "off"}  # MLflow costs 3 seconds per stage
    printed = replace(project, env=env).run("dvc repro", seconds=2400)
    project.share_environment()
    again = project.run("make repro")
    changed = project.changes()
    project.run(code["publish v1"])
    return Smoke(project, printed, again, changed, reads(watched, project.path))
