"""Answers and params of a git revision, a DVC experiment or the workspace."""

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from synthpairs.core.arms import UNTRAINED
from synthpairs.core.config import PARAMS, flatten, parse_mapping
from synthpairs.core.schema import ANSWERS
from synthpairs.report.comparison.outdated import outdated

WORKSPACE = "workspace"  # DVC's name for the files on disk
BENCHMARKS = "reports/benchmarks"
ITEMS = f"{BENCHMARKS}/items"
EVALUATIONS = ("preference", "perplexity", "distributions", "diversity")  # JSON files in reports/


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision by name; `commit` is None for the workspace."""

    name: str
    commit: str | None

    def read(self, path: str) -> bytes:
        """Content of a file; FileNotFoundError if there is none."""
        if self.commit is None:
            if not Path(path).exists():
                raise FileNotFoundError(f"{path} is missing in the workspace: run `dvc repro` first")
            return Path(path).read_bytes()
        try:
            return git("show", f"{self.commit}:./{path}")  # relative: the project may be a subfolder of its repository
        except OSError as error:
            raise FileNotFoundError(f"{self.name} ({self.commit[:7]}) holds no {path}: {error}") from None

    def answers(self, arm: str) -> pd.DataFrame:
        """The arm's answers, as ANSWERS, without those of the blind baseline; errors name file and revision.

        ValueError too for answers that are older than what dvc.lock and params.yaml of the revision say.
        """
        path = f"{ITEMS}/{arm}.parquet"
        stages = self._stages()
        outs = [PurePath(out["path"]) for entry in stages.values() for out in entry.get("outs", [])]
        arms = sorted(out.stem for out in outs if out.is_relative_to(ITEMS))
        if arm not in arms:
            raise ValueError(f"{self.name}: no answers of {arm!r}; arms in dvc.lock: {', '.join(arms) or 'none'}")
        content = self.read(path)
        if reason := outdated(path, content, stages, self.params()):
            where = " there" if self.commit else ""
            raise ValueError(f"{self.name}: {path} is outdated: {reason}; run `dvc repro`{where}")
        try:
            table = pd.read_parquet(io.BytesIO(content))
            table = table[ANSWERS.names]
        except (ValueError, KeyError) as error:
            raise ValueError(f"{self.name}: {path} is no table of answers: {error}") from None
        return table[~table["blind"].astype(bool)]

    def measures(self, arm: str) -> dict[str, tuple[str, bool]]:
        """Measure of each of the arm's benchmarks, and whether higher is better; errors name file and revision."""
        path = f"{BENCHMARKS}/{arm}.json"
        numbers = parse_mapping(self.read(path), f"{self.name}: {path}")
        try:
            return {task: (row["metric"], row["higher_is_better"]) for task, row in numbers.items()}
        except (KeyError, TypeError) as error:
            raise ValueError(f"{self.name}: {path} holds no results of benchmarks: {error}") from None

    def _stages(self) -> dict[str, Any]:
        """Entries of dvc.lock, without those of stages that dvc.yaml no longer has, which DVC keeps."""
        pipeline, lock = (parse_mapping(self.read(name), f"{self.name}: {name}") for name in ("dvc.yaml", "dvc.lock"))
        known = pipeline.get("stages", {})
        return {name: entry for name, entry in lock.get("stages", {}).items() if name.partition("@")[0] in known}

    def params(self) -> dict[str, Any]:
        """Every value of params.yaml by its dotted key; a list is one value."""
        return flatten(parse_mapping(self.read(str(PARAMS)), f"{self.name}: {PARAMS}"))


def outdated_lines() -> list[str]:
    """A line for the report on results in the workspace that are older than what they are made from, or none.

    So they are after `dvc repro --single-item`. A workspace without dvc.lock was not made by DVC, and nothing is known of it.
    """
    here = Revision(WORKSPACE, None)
    if not Path("dvc.lock").exists():
        return []
    stages, params = here._stages(), here.params()
    items = [f"{ITEMS}/{arm}.parquet" for arm in (*params["arms"], UNTRAINED, *params["token_arms"])]
    paths = [*items, *(f"reports/{name}.json" for name in EVALUATIONS)]
    reasons = {path: outdated(path, here.read(path), stages, params) for path in paths}
    old = [path for path in paths if reasons[path]]
    if not old:
        return []
    return [
        f"> **Outdated when this page was made:** {', '.join(f'`{path}`' for path in old)}. Of the first: {reasons[old[0]]}. "
        "`dvc repro` makes them and this page anew."
    ]


def resolve(name: str) -> Revision:
    """Revision of the name `workspace`, of a DVC experiment, or of any git revision; ValueError for other names."""
    if name == WORKSPACE:
        return Revision(name, None)
    refs = git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").decode()
    experiments = [line.split() for line in refs.splitlines()]
    named = [commit for commit, ref in experiments if ref.rpartition("/")[2] == name]
    if len(named) > 1:
        raise ValueError(
            f"{name} names {len(named)} experiments of different commits: give one of "
            f"{', '.join(item[:7] for item in named)}"
        )
    try:
        commit = git("rev-parse", "--verify", f"{named[0] if named else name}^{{commit}}")
    except OSError as error:
        raise ValueError(
            f"{name!r} is neither {WORKSPACE}, nor a DVC experiment (`dvc exp list`), nor a git revision: {error}"
        ) from None
    return Revision(name, commit.decode().strip())


def git(*arguments: str) -> bytes:
    """Output of a git command; OSError with git's message if it fails."""
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise FileNotFoundError("git is not installed; it is needed to read revisions") from None
    if result.returncode:
        raise OSError(f"git: {' '.join(result.stderr.decode(errors='replace').removeprefix('fatal: ').split())}")
    return result.stdout
