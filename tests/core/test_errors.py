import io

from synthpairs.core.errors import error_line


def test_an_error_is_one_short_line_without_addresses():
    error = TypeError(f"cannot read\n{io.BytesIO()} or {object()}: {'x' * 999}")
    line = error_line(error)
    assert line.startswith("TypeError: cannot read or: xxx")
    assert len(line) == 500
