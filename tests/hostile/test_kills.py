"""Stages that are killed at random moments, with their DVC or alone, make the bytes of an undisturbed run and leave nothing."""

import shutil
import sys

import pytest

from perf import kills
from tests.flows.project import Project, environment
from tests.pipeline import ROOT

# Works in pieces by forked workers, as `captions` and `scores` do, and writes a table and a metrics file.
STAGE = """
import time
from pathlib import Path
import pyarrow as pa
from synthpairs.core.storage import WorkStore, write_table
from synthpairs.runtime.cached_map import cached_map
from synthpairs.runtime.stage import run_stage, stage
from synthpairs.runtime.workers import process_pool

def upper(text):
    time.sleep(0.05)
    return text.upper()

@stage(metrics="reports/NAME.json")
def main(world: list[str]):
    texts = [f"{word} {number}" for word in world for number in range(10)]
    with WorkStore("NAME", "f").locked() as store, process_pool(2, "fork") as pool:
        results = []
        for start in range(0, len(texts), 4):
            results += cached_map(store, "upper", texts[start : start + 4], lambda batch: list(pool.map(upper, batch)))
    store.discard()
    write_table(Path("data/NAME/rows.parquet"), [{"text": text} for text in results], pa.schema([("text", pa.string())]))
    return {"rows": len(results)}

if __name__ == "__main__":
    run_stage(main)
"""
PIPELINE = """\
  NAME:
    cmd: python -m stages.NAME
    deps:
    - stages/NAME.py
    params:
    - world
    outs:
    - data/NAME
    metrics:
    - reports/NAME.json:
        cache: false
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with two stages that have run; the second needs nothing of the first."""
    env = environment(tmp_path) | {"PYTHONPATH": str(ROOT), "SYNTHPAIRS_TRACKING": "off"}
    env |= {"SHELL": shutil.which("bash")}
    monkeypatch.setattr(kills, "ENVIRONMENT", env)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "project/stages").mkdir(parents=True)
    project = Project(tmp_path / "project", env)
    shutil.copy(ROOT / "stages/__init__.py", project.path / "stages")
    for name in ("draw", "pick"):
        (project.path / f"stages/{name}.py").write_text(STAGE.replace("NAME", name))
    (project.path / "dvc.yaml").write_text(
        "stages:\n" + "".join(PIPELINE.replace("NAME", name) for name in ("draw", "pick"))
    )
    (project.path / "params.yaml").write_text("world: [dog, cat, bus]\n")
    (project.path / ".gitignore").write_text("/data\n__pycache__\n")
    project.run("git init --quiet\ndvc init --quiet\ndvc repro --quiet")
    project.commit("run")
    return project


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends stages with their DVC")
@pytest.mark.timeout(300)
def test_killed_stages_make_the_same_bytes_and_leave_nothing(project):
    counts = kills.disturbed(project.path, ["draw", "pick"], times=6, seed=0)
    total = {column: sum(count[column] for count in counts.values()) for column in kills.COLUMNS}
    assert total.pop("kills") >= 6
    total.pop("cut files of DVC")  # they may be, and are mended as the message says
    assert total == dict.fromkeys(total, 0), (project.path / ".dvc/tmp/kills.log").read_text()
    assert "up to date" in project.run("dvc status")
