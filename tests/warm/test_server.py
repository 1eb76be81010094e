"""Warm stages do what cold ones do: arguments, streams, exit codes, signals; where other code was loaded, cold ones run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts need Linux")

WARM = "import sys; from synthpairs.warm import server; server.LATE = (); sys.exit(server.run_warm(sys.argv[1:]))"
SLOW_TO_IMPORT = "open('imports', 'a').write('once\\n')\nVERSION = 1\n"
STAGE = """
import os, sys
import heavy
if __name__ == "__main__":
    print(*sys.argv[1:], os.environ.get("ASKED"), heavy.VERSION, __spec__.name, os.path.basename(sys.argv[0]))
    print(os.getppid(), file=sys.stderr)
    if sys.argv[1:] == ["session"]:
        print(os.getsid(0) == os.getpid())
    if sys.argv[1:] == ["exit"]:
        sys.exit(3)
    if sys.argv[1:] == ["fail"]:
        raise RuntimeError("it failed")
    if sys.argv[1:] == ["die"]:
        os.kill(os.getpid(), 9)
"""
WAITING = """
import signal, sys, time
from pathlib import Path
def unwind(*_):
    Path("unwound").touch()
    sys.exit(143)
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, unwind)
    Path("begun").touch()
    time.sleep(60)
"""

TRACKED = """
from synthpairs.tracking import run_stage, stage_run
def main():
    with stage_run("tracked", {"size": 3}) as run:
        run.log({"loss": 0.5})
if __name__ == "__main__":
    run_stage(main)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two stages, and a module that notes each time it is imported."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/told.py").write_text(STAGE)
    (tmp_path / "stages/waiting.py").write_text(WAITING)
    (tmp_path / "heavy.py").write_text(SLOW_TO_IMPORT)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "SYNTHPAIRS_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PYTHONPATH": str(ROOT), "PATH": path} | more


def warm(project: Path, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What came of a shell script that was run with warm stages."""
    command = [sys.executable, "-c", WARM, "sh", "-c", script]
    return subprocess.run(command, cwd=project, env=environment(**more), capture_output=True, text=True, timeout=300)


def imports(project: Path) -> int:
    return (project / "imports").read_text().count("once")


def test_stages_are_forks_of_one_process_that_imported_everything_once(project):
    done = warm(project, "python -m stages.told one; ASKED=yes python -m stages.told two 2 > file; echo $?")
    assert done.stdout == "one None 1 stages.told told.py\n0\n"
    assert (project / "file").read_text() == "two 2 yes 1 stages.told told.py\n"
    assert len(set(done.stderr.split())) == 1
    assert len(done.stderr.split()) == 2
    assert imports(project) == 1
    assert done.returncode == 0


@pytest.mark.parametrize(("asked", "code"), [("exit", 3), ("fail", 1), ("die", 137)])
def test_exit_codes_are_those_of_the_stage(project, asked, code):
    done = warm(project, f"python -m stages.told {asked}; echo code $?")
    assert f"code {code}\n" in done.stdout
    assert ("RuntimeError: it failed" in done.stderr) == (asked == "fail")


def test_who_leads_a_session_gets_one(project):
    done = warm(project, "python -m stages.told session; setsid --wait python -m stages.told session")
    assert done.stdout.splitlines()[1::2] == ["False", "True"]


def test_a_stage_is_recorded(project):
    from mlflow.client import MlflowClient

    (project / "stages/tracked.py").write_text(TRACKED)
    (project / "params.yaml").write_text("size: 3\n")
    store = f"sqlite:///{project / 'mlflow.db'}"
    done = warm(project, "python -m stages.tracked; echo $?", MLFLOW_TRACKING_URI=store)
    assert (done.stdout, done.stderr) == ("0\n", "")
    client = MlflowClient(tracking_uri=store)
    (found,) = client.search_experiments(filter_string="name = 'synthpairs'")
    runs = client.search_runs([found.experiment_id])
    assert [run.data.metrics["loss"] for run in runs if run.data.metrics] == [0.5]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_what_is_no_stage_runs_as_ever(project):
    done = warm(project, "python -c 'import sys; print(sys.argv, sys.executable)' a; python -m this | head -1; exit 5")
    assert done.stdout == f"['-c', 'a'] {sys.executable}\nThe Zen of Python, by Tim Peters\n"
    assert done.returncode == 5


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("printf 'VERSION = 2' > heavy.py; python -m stages.told", "None 2"),  # else DVC would note the wrong code
        ("cp -r stages heavy.py other; cd other; echo 'VERSION = 3' > heavy.py; python -m stages.told", "None 3"),
        ("SYNTHPAIRS_WARM=gone python -m stages.told", "None 1"),
        ("SYNTHPAIRS_LAUNCH=torchrun python -m stages.told", "None 1"),
    ],
)
def test_a_stage_starts_cold_where_it_must(project, script, said):
    (project / "other").mkdir()
    done = warm(project, f"sleep 1; echo warm $PPID; {script}")
    server, told = done.stdout.split()[1], done.stdout.splitlines()[1]
    assert told.strip() == f"{said} stages.told told.py"
    assert done.stderr.strip() != server


def test_who_ends_the_command_ends_its_stage(project):
    """As without all this the shell that DVC starts becomes the client, and DVC sends it SIGTERM."""
    script = "python -m stages.waiting & while [ ! -e begun ]; do sleep 0.1; done; kill $!; wait $!; echo $?"
    done = warm(project, script)
    for _ in range(50):
        if (project / "unwound").exists():
            break
        time.sleep(0.1)
    assert (project / "unwound").exists()
    assert done.stdout == f"{128 + signal.SIGTERM}\n"


def test_a_command_that_was_killed_says_so_as_shells_do(project):
    assert warm(project, "kill -9 $$").returncode == 137


def test_a_command_that_is_not_there_is_one_line(project):
    command = [sys.executable, "-m", "synthpairs", "warm", "no-such-command"]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 2] No such file or directory: 'no-such-command'\n"


def test_without_a_command_it_is_asked_for(project):
    command = [sys.executable, "-m", "synthpairs", "warm"]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1, "error: name the command to run: python -m synthpairs warm dvc repro\n"
    )  # fmt: skip
