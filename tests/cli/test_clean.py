"""Only work stores of other code are deleted, and none that is in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.cli.clean import clean
from synthpairs.core.storage import WorkStore, code_folder, work_folder
from synthpairs.generation.diffusion.params import RECIPE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """A store of each kind, of 1,000 bytes."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    paths = {
        "current": work_folder() / "scores" / code_folder("stages.scores") / "f",
        "an experiment": WorkStore("seeds", "f", program="synthpairs.experiments.seeds").path,
        "other code": work_folder() / "scores" / "0123456789abcdef" / "f",
        "images": WorkStore("images", "f", RECIPE).path,
        "other recipe": WorkStore("images", "f", RECIPE + 1).path,
        "an older layout": work_folder() / "images" / "f",
    }
    for path in paths.values():
        path.mkdir(parents=True)
        (path / ".lock").touch()
        (path / "piece").write_bytes(bytes(1000))
    return paths


def test_stores_of_other_code_are_deleted(stores):
    freed, kept = clean()
    assert {store.path for store in freed} == {
        stores[name] for name in ("other code", "other recipe", "an older layout")
    }
    assert {store.path for store in kept} == {stores[name] for name in ("current", "an experiment", "images")}
    assert {store.size for store in (*freed, *kept)} == {1000}
    assert not stores["other code"].parent.exists(), "empty folders are deleted too"
    assert (stores["images"] / "piece").exists()
    assert clean()[0] == []


def test_all_are_deleted_except_those_in_use(stores):
    hold = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, stores["other code"] / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        freed, kept = clean(everything=True)
        other.communicate(b"\n")
    assert [store.path for store in kept] == [stores["other code"]]
    assert kept[0].in_use
    assert len(freed) == 5
    assert clean(everything=True)[1] == []
