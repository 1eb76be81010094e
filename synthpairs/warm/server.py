"""The process that imports everything, runs a command, and forks for every stage which that command starts."""

import atexit
import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn

from synthpairs.tracking import PYTHON, tracking_on
from synthpairs.warm import client
from synthpairs.warm.client import COLD, PLACE

# What stages import when they need it, and not before; all else comes with the stages themselves.
RECORDING = ("mlflow.client", "synthpairs.recorder")
LATE = ("transformers.models.llama.modeling_llama", "diffusers", "lm_eval.models.huggingface", "open_clip", *RECORDING)

# How long OpenMP's threads look for work before they sleep: some microseconds. It would be milliseconds, in which they
# take the cores from whatever runs beside them. Alone, a training or a generation is as fast as before.
SPINS = {"GOMP_SPINCOUNT": "1000"}


def run_warm(command: Sequence[str]) -> int:
    """Run a command whose stages are forks of this process; returns its exit code, 128 + N where signal N ended it.

    ValueError on another system than Linux, FileNotFoundError when there is no such command.
    """
    if sys.platform != "linux":
        raise ValueError("warm starts need Linux: run the command without `python -m synthpairs warm`")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # a process that has touched CUDA cannot be forked
    for name, spins in SPINS.items():
        os.environ.setdefault(name, spins)
    folder = Path(tempfile.mkdtemp(prefix="synthpairs-"))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "socket"))
            listener.listen()
            write_python(folder / "bin/python")
            told = {
                "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                PLACE: str(folder / "socket"),
                PYTHON: str(folder / "bin/python"),
            }
            started = subprocess.Popen(command, env=os.environ | told)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command answers it, and this process waits for that
            return _serve(listener, started, what_to_import(Path("stages")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_python(path: Path) -> None:
    """A `python` that hands stages and their recorders over, but for stages that a launcher starts in several processes."""
    python, script = shlex.quote(sys.executable), shlex.quote(str(client.__file__))
    path.parent.mkdir()
    path.write_text(
        '#!/bin/sh\ncase "$SYNTHPAIRS_LAUNCH:$1 $2" in\n'
        f'":-m stages."* | ":-m synthpairs.recorder") exec {python} -ISs {script} "$@" ;;\nesac\n'
        f'exec {python} "$@"\n'
    )
    path.chmod(0o755)


def what_to_import(stages: Path) -> list[str]:
    """The modules of all stages, after what these import late."""
    late = [name for name in LATE if name not in RECORDING or tracking_on()]
    return late + [f"stages.{file.stem}" for file in sorted(stages.glob("*.py")) if file.stem != "__init__"]


def _import(name: str, loaded: dict[Path, float]) -> None:
    """Import a module; one that cannot be imported says so when it is run.

    `loaded` takes in the files of this project that came with it, with when they were written.
    """
    with contextlib.suppress(Exception):
        importlib.import_module(name)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            file
            and (path := Path(file)) not in loaded
            and path.is_relative_to(Path.cwd())
            and ".venv" not in path.parts
        ):
            loaded[path] = path.stat().st_mtime


def _serve(listener: socket.socket, command: subprocess.Popen[bytes], to_import: list[str]) -> int:
    """Fork for every stage until the command has ended; returns the command's exit code.

    Imports one module after another meanwhile, next what a stage waits for.
    """
    loaded: dict[Path, float] = {}
    stages: dict[int, socket.socket] = {}  # who waits for which process
    forsaken: set[int] = set()  # processes that nobody waits for any more
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while (code := command.poll()) is None:
        listening = {process: asked for process, asked in stages.items() if process not in forsaken}
        ready = wait([listener, woken, *listening.values()], timeout=0 if to_import else None)
        for process, asked in listening.items():
            if asked in ready:  # clients say nothing more, so this one was killed
                forsaken.add(process)
                os.kill(process, signal.SIGTERM)
        if woken in ready:
            os.read(woken, 4096)
            for process in list(stages):
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    _answer(stages.pop(process), str(_exit_code(os.waitstatus_to_exitcode(status))).encode())
        if listener in ready:
            asked = listener.accept()[0]
            request, streams = _received(asked)
            here = Path(request["folder"]) == Path.cwd()
            if here and request["module"] in to_import:
                to_import.remove(request["module"])
                _import(request["module"], loaded)
            if not here or _changed(loaded):
                _answer(asked, COLD)
            elif process := os.fork():
                stages[process] = asked
            else:
                for other in (listener, asked, *stages.values()):
                    other.close()
                _run(request, streams)
            for stream in streams:
                os.close(stream)
        elif to_import:
            _import(to_import.pop(0), loaded)
            if not to_import:
                gc.collect()
                gc.freeze()  # so that collections in the forks leave these pages alone, and shared
    return _exit_code(code)


def _changed(loaded: dict[Path, float]) -> bool:
    """Whether a file is not what was loaded: DVC would note that the stage ran with the new one."""
    return any(not path.exists() or path.stat().st_mtime != written for path, written in loaded.items())


def _answer(asked: socket.socket, said: bytes) -> None:
    with asked, contextlib.suppress(BrokenPipeError):
        asked.sendall(said)


def _received(asked: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What `client` sends."""
    size, streams, _, _ = socket.recv_fds(asked, 4, 3)
    with asked.makefile("rb") as rest:
        return json.loads(rest.read(*struct.unpack("!I", size))), list(streams)


def _run(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """Be `python -m` of the module, to the end of this process."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logging.root.handlers.clear()
        logging.root.setLevel(logging.WARNING)
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
            os.close(stream)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        if request["leads"]:
            os.setsid()  # out of reach of Ctrl-C, as who asked is
        sys.argv = ["-m", *request["arguments"]]
        sys.modules.pop(request["module"], None)  # what it imported stays; it itself is now the main module
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End this process as Python does, but for taking apart all that was imported, which takes up to two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed
            stream.flush()
    os._exit(code)


def _exit_code(code: int) -> int:
    return 128 - code if code < 0 else code
