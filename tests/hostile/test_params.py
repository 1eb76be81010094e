"""Any value at any key of params.yaml: a section is read, or one line names the file and the key."""

import contextlib
import datetime
from copy import deepcopy
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthpairs.__main__ import main
from synthpairs.cli.doctor import SECTIONS
from synthpairs.core.config import convert_section, messages, read_mapping

PARAMS = read_mapping()
VALUES = [
    None, True, -1, 0, 10**400, 2**63, -0.5, 1e308, float("nan"), float("inf"), "", "text", "\0", "\ud800", "1", [], ["text"],
    [None], [[]], [{"a": []}], {}, {"text": 1}, {1: 2}, {None: None}, {(1, 2): []}, datetime.date(2001, 1, 1), b"\xff", {1, "a"},
]  # fmt: skip


def paths(value, keys=()):
    """The keys and indices of every value in nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*keys, key)
        yield from paths(item, (*keys, key))


def replaced(path, value):
    """params.yaml with another value there."""
    document = {**PARAMS, path[0]: deepcopy(PARAMS[path[0]])}
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def problem(section, document):
    """None for a section that is read, else its error."""
    try:
        convert_section(SECTIONS[section], section, document)
    except ValueError as error:
        return error
    return None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("section", SECTIONS)
def test_a_value_of_any_type_is_read_or_named(section):
    for path in paths(PARAMS):
        if path[0] != section:
            continue
        named = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
        for value in VALUES:
            error = problem(section, replaced(path, value))
            if error is not None:
                lines = messages(error)
                assert all(line.startswith(f"params.yaml: {section}") for line in lines), (path, value, str(error))
                # A rule about several keys names one of them, or the mapping or list that holds them.
                assert any(named.rpartition("[" if named[-1] == "]" else ".")[0] in line for line in lines), (
                    path,
                    value,
                )
                assert "\n" not in str(error)


@pytest.mark.timeout(120)
def test_doctor_and_estimate_say_it_in_one_line(tmp_path, monkeypatch, caplog, chance):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hard = [
        (path, value) for path in (("scores",), ("arms",)) for value in ([{"clip": "ViT-B-32"}], {1: {"clip": "x"}})
    ]
    random_ones = [(chance.choice(list(paths(PARAMS))), chance.choice(VALUES)) for _ in range(40)]
    for path, value in [*hard, *random_ones]:
        with contextlib.suppress(UnicodeEncodeError):  # lone surrogates, which no file holds
            YAML(typ="safe", pure=True).dump(replaced(path, value), Path("params.yaml"))
        for command in ("doctor", "estimate --captions 10"):
            caplog.clear()
            failed = main(command.split())
            lines = [record.message for record in caplog.records if record.levelname == "ERROR"]
            assert (len(lines), "\n" in "".join(lines)) == (failed, False), (path, value)
