"""Virtual environment of lmms-eval, apart from the project's because its pins conflict with DVC's.

uv makes it once from `lmms_eval.lock` (hashes, no registry) in `.dvc/tmp/environments`: 6 GB on Linux, less what uv's
cache has. Machines without a package registry set `SYNTHPAIRS_LMMS_EVAL` to the Python of an existing one.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from synthpairs.core.storage import file_sha256

log = logging.getLogger(__name__)
LOCK = Path(__file__).with_name("lmms_eval.lock")
VARIABLE = "SYNTHPAIRS_LMMS_EVAL"


def lmms_python() -> Path:
    """Path of the Python that has lmms-eval; its environment is made on first use.

    FileNotFoundError when VARIABLE is no file or uv is missing, ConnectionError when packages cannot be installed.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise FileNotFoundError(f"{VARIABLE} is {named!r}, which is no Python interpreter")
        return Path(named).absolute()
    root = Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".dvc/tmp/environments"
    finished = root / f"lmms-eval-{file_sha256(LOCK)[:12]}"
    if not finished.exists():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".lmms-eval-") as made:
            log.info("making the environment of lmms-eval in %s: takes minutes without uv's cache", finished)
            _make(Path(made) / "environment")
            if not finished.exists():  # unless another run was faster
                (Path(made) / "environment").rename(finished)
    return finished / "bin/python"


def lmms_engine(python: Path) -> str:
    """Name and version of an environment's lmms-eval, and of its vLLM if it has one; FileNotFoundError without lmms-eval."""
    code = (
        "from importlib.metadata import packages_distributions, version\n"
        "names = ['lmms-eval', *packages_distributions().get('vllm', [])]\n"
        "print(', '.join(f'{name} {version(name)}' for name in names))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise FileNotFoundError(f"{python} has no lmms-eval: install {LOCK} there, or unset {VARIABLE}")
    return done.stdout.strip()


def _make(path: Path) -> None:
    """A relocatable environment: its Python works after a move, its console scripts do not."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise FileNotFoundError(f"uv is not installed: run `make env`, or set {VARIABLE} to a Python with lmms-eval")
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(path / "bin/python"), str(LOCK)]
    for command in ([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(path)], sync):
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            reason = " ".join(done.stderr.split())[-500:]
            raise ConnectionError(
                f"the environment of lmms-eval cannot be made ({reason}); check the network, or set {VARIABLE} to a "
                "Python with lmms-eval"
            )
