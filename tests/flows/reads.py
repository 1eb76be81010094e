"""Files that stages open for reading: by strace, or, where it is missing, by an audit hook of Python."""

import os
import re
import subprocess
import sys
from pathlib import Path

# First on PATH as `python`. Only `openat` is traced, so a stage takes hardly longer.
TRACED = """\
#!/bin/sh
test -n "$DVC_STAGE" || exec "{python}" "$@"
exec strace --follow-forks --seccomp-bpf --successful-only --decode-fds=path --trace=openat --quiet=all \\
    --output="{folder}/$DVC_STAGE.$$.strace" "{python}" "$@"
"""
# Python imports `sitecustomize` at startup. Files opened in C++, as by pyarrow, are missed.
AUDITED = """\
import os, sys
if "DVC_STAGE" in os.environ:
    path = os.path.join(os.path.dirname(__file__), f"{os.environ['DVC_STAGE']}.{os.getpid()}.audit")
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def watch(event, arguments):
        if event == "open" and isinstance(arguments[0], str) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            os.write(log, os.path.abspath(arguments[0]).encode() + b"\\n")
    sys.addaudithook(watch)
"""
CALL = re.compile(r"openat\(.*, O_RDONLY(?!.*O_DIRECTORY).* = \d+<(.+)>$", re.MULTILINE)


def watch(folder):
    """Environment in which stages log to `folder` what they open for reading."""
    # strace may be installed, but not allowed
    if subprocess.run("strace -o /dev/null true", shell=True, capture_output=True).returncode == 0:
        (folder / "python").write_text(TRACED.format(python=sys.executable, folder=folder))
        (folder / "python").chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    (folder / "sitecustomize.py").write_text(AUDITED)
    return {"PYTHONPATH": str(folder)}


def reads(folder, root):
    """Files below `root` that each stage has read, relative to `root`."""
    by_stage: dict[str, set[str]] = {}
    for log in sorted(folder.glob("*.*.strace")) + sorted(folder.glob("*.*.audit")):
        text = log.read_text(errors="replace")
        paths = CALL.findall(text) if log.suffix == ".strace" else text.splitlines()
        inside = {os.path.relpath(path, root) for path in paths if Path(path).is_relative_to(root)}
        by_stage.setdefault(log.name.split(".")[0], set()).update(inside)
    return by_stage
