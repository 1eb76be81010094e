"""docs/dataset-versions.md, command by command: two versions are published, one is fetched elsewhere and trained on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.schema import digest
from synthpairs.shards import shard_name, write_shards
from synthpairs.storage import write_json
from tests.scores.conftest import photo, png

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/dataset-versions.md"
DVC_YAML = """\
stages:
  select:
    cmd: {python} select.py
    deps: [select.py, pool]
    params: [select]
    outs: [data/selected]
    metrics:
    - metrics.json: {{cache: false}}
"""
SELECT = """\
import json, pathlib, re, shutil
strategy = re.search("strategy: (.+)}", pathlib.Path("params.yaml").read_text())[1]
shutil.copytree(f"pool/{strategy}", "data/selected")
pathlib.Path("metrics.json").write_text(json.dumps({"pairs": len(strategy)}))
"""


def blocks() -> dict[str, str]:
    """The page's code by what stands behind the language: `sh publish v1`."""
    found = re.findall(r"^```(\w+) ([^\n]+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^```\w", PAGE.read_text(), re.MULTILINE)) == len(found), "every block must have a name"
    return {name: code for _, name, code in found}


class Shell:
    """Runs commands in a directory, with nothing of this machine's settings."""

    def __init__(self, base: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
        self.env = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(base), "STORE": str(base / "store"), "URL": str(base / "project"), "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(base / "site"), "DVC_GLOBAL_CONFIG_DIR": str(base / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(base / "system"), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@localhost", "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost", "PYTHONPATH": "",
        }  # fmt: skip

    def run(self, where: Path, commands: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=where,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout[-3000:]}"
        return done.stdout


def write_pool(folder: Path) -> dict[str, dict[str, str]]:
    """Two selections of which three pairs are the same; captions by key, by strategy."""
    keys = sorted(digest("pair", number) for number in range(9))
    chosen = {"top": keys[:6], "random": keys[3:]}
    for strategy, some in chosen.items():
        for part in (some[:3], some[3:]):
            samples = [
                (key, {"png": png(photo(16, int(key[:6], 16))), "txt": f"caption {key}".encode()}) for key in part
            ]
            write_shards(folder / f"of-{part[0]}", [(shard_name(part), samples)])
            (folder / strategy).mkdir(exist_ok=True)
            for shard in (folder / f"of-{part[0]}").iterdir():
                (folder / strategy / shard.name).write_bytes(shard.read_bytes())
        write_json(folder / strategy / "llava.json", some)
    return {strategy: {key: f"caption {key}" for key in some} for strategy, some in chosen.items()}


@pytest.mark.slow
def test_the_pages_commands_do_what_it_says(tmp_path: Path) -> None:
    code, shell = blocks(), Shell(tmp_path)
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    captions = write_pool(project / "pool")
    (project / "dvc.yaml").write_text(DVC_YAML.format(python=sys.executable))
    (project / "select.py").write_text(SELECT)
    (project / "params.yaml").write_text("select: {k: 6, strategy: top}\n")
    shell.run(project, "git init --quiet; dvc init --quiet; git add --all; git commit --quiet -m start")
    shell.run(project, code["once"])
    shell.run(project, "dvc repro --quiet\n" + code["publish v1"])
    (project / "params.yaml").write_text("select: {k: 6, strategy: random}\n")
    shell.run(project, "dvc repro --quiet\n" + code["publish v2"])
    assert shell.run(project, "git status --porcelain; git tag") == "v1\nv2\n"

    shell.run(project, "rm -rf .dvc/cache data")  # what is fetched must come from the store
    shell.run(elsewhere, code["elsewhere"])
    (elsewhere / "train.py").write_text(code["train"])
    lines = shell.run(elsewhere, "python train.py").splitlines()
    seen = dict(re.fullmatch(r"(\w+) \(16, 16\) (.+)", line).groups() for line in lines)
    assert seen == captions["top"]
    shell.run(elsewhere, "rm -r pairs\n" + code["elsewhere"].replace("v1", "v2"))
    assert {path.name for path in (elsewhere / "pairs").iterdir()} == {
        path.name for path in (project / "pool/random").iterdir()
    }

    told = shell.run(project, code["compare"])
    shared = {path.name for path in (project / "pool/top").iterdir()} & {
        path.name for path in (project / "pool/random").iterdir()
    }
    assert len(shared) == 2, "llava.json, and the shard that both have"
    for strategy, heading in (("top", "Deleted:"), ("random", "Added:")):
        listed = told.split(heading)[1].split("\n\n")[0]
        for path in (project / "pool" / strategy).glob("*.tar"):
            assert (path.name in listed) == (path.name not in shared)
    assert "llava.json" in told.split("Modified:")[1].split("\n\n")[0]
    assert re.search(r"select.strategy +top +random", told)
    assert re.search(r"pairs +3 +6", told)
