"""Questions to git, for records and checks that must not depend on it."""

import contextlib
import subprocess


def git_output(*arguments: str) -> str:
    """Output of a git command; empty where it fails or git is not installed."""
    with contextlib.suppress(OSError):
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace")
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""
