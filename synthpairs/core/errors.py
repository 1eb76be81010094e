"""Errors as text in stored files."""

import re

_ADDRESS = re.compile(r" ?<[^<>]* at 0x[0-9A-Fa-f]+>")  # the repr of an object, another one in each run
_LENGTH = 500


def error_line(error: BaseException) -> str:
    """An error's type and message in one line of bounded length, without memory addresses, so that every run stores the same."""
    return _ADDRESS.sub("", f"{type(error).__name__}: {' '.join(str(error).split())}")[:_LENGTH]
