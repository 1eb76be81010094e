"""What a git revision, a DVC experiment or the workspace holds: an arm's answers, and the params behind them."""

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from synthpairs.schema import ANSWERS

WORKSPACE = "workspace"  # the files as they lie there, as DVC calls them
ITEMS, PARAMS = "reports/benchmarks/items", "params.yaml"


@dataclass(frozen=True, slots=True)
class Revision:
    """One of the compared; `commit` is None for the workspace."""

    name: str
    commit: str | None

    def read(self, path: str) -> bytes:
        """A file of it; FileNotFoundError when it has none."""
        if self.commit is None:
            if not Path(path).exists():
                raise FileNotFoundError(f"{path} is missing in the workspace: run `dvc repro` first")
            return Path(path).read_bytes()
        shown = _git("show", f"{self.commit}:{path}")
        if shown.returncode:
            raise FileNotFoundError(f"{self.name} ({self.commit[:7]}) holds no {path}")
        return shown.stdout

    def answers(self, arm: str) -> pd.DataFrame:
        """The arm's answers that were given with the picture (or need none), as ANSWERS; errors name file and revision."""
        path = f"{ITEMS}/{arm}.parquet"
        try:
            table = pd.read_parquet(io.BytesIO(self.read(path)))
            table = table[ANSWERS.names]
        except (ValueError, KeyError) as error:
            raise ValueError(f"{self.name}: {path} is no table of answers: {error}") from None
        return table[~table["blind"].astype(bool)]

    def params(self) -> dict[str, Any]:
        """Every value of params.yaml by its dotted key; a list is one value."""
        return _flat(YAML(typ="safe").load(self.read(PARAMS)))


def resolve(name: str) -> Revision:
    """`workspace`, the name of a DVC experiment, or whatever git calls a revision; ValueError for what is none of them."""
    if name == WORKSPACE:
        return Revision(name, None)
    experiments = [
        line.split()
        for line in _git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").stdout.decode().splitlines()
    ]
    named = [commit for commit, ref in experiments if ref.rpartition("/")[2] == name]
    if len(named) > 1:
        raise ValueError(
            f"{name} names {len(named)} experiments of different commits: give one of {', '.join(item[:7] for item in named)}"
        )
    found = _git("rev-parse", "--verify", "--quiet", f"{named[0] if named else name}^{{commit}}")
    if found.returncode:
        raise ValueError(
            f"{name} is neither {WORKSPACE}, nor a DVC experiment (`dvc exp list`), nor a revision that git knows"
        )
    return Revision(name, found.stdout.decode().strip())


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise FileNotFoundError("git is not installed, and revisions are read through it") from None


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    parts = (_flat(item, f"{prefix}.{key}" if prefix else str(key)) for key, item in value.items())
    return {key: item for part in parts for key, item in part.items()}
