"""Presets: values for params.yaml at another scale. A preset file holds only what differs.

params.yaml stays the one place where values stand: a preset is written into it, so `git diff params.yaml` and
`dvc params diff` show what it changed, and `git checkout params.yaml` takes it back.
"""

import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synthpairs.params import PARAMS, read_mapping
from synthpairs.storage import write_bytes

FOLDER = Path("presets")
_PLAIN = re.compile(r"[A-Za-z][\w./@-]*( [\w./@-]+)*")


def apply(name: str) -> dict[str, Any]:
    """Write a preset into params.yaml, whose other bytes stay as they are; returns what changed, by dotted key."""
    current, text = read_mapping(PARAMS), PARAMS.read_text(encoding="utf-8")
    node = YAML().compose(text)
    changed: dict[str, Any] = {}
    spans = []
    for keys, value in leaves(name, current):
        old, label, place = current, node, node
        for key in keys:
            old = old[key]
            label, place = next(item for item in place.value if item[0].value == str(key))
        if (type(old), old) == (type(value), value):
            continue
        changed[".".join(keys)] = value
        start, end, written = place.start_mark.index, _end(place), _yaml(value)
        if start == end:  # `key:` alone says null, and its mark lies behind the comment
            start = end = text.index(":", label.end_mark.index) + 1
            written = f" {written}"
        spans.append((start, end, written))
    for start, end, written in sorted(spans, reverse=True):  # from the end, so that earlier places stay true
        text = text[:start] + written + text[end:]
    if changed:
        write_bytes(PARAMS, text.encode())
    return changed


def _end(node: Any) -> int:
    """Where a value's text ends; a block collection's own mark lies beyond the comments that follow it."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _yaml(value: Any) -> str:
    """A value on one line; text stays unquoted where it reads back the same."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and YAML(typ="safe").load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def as_flags(name: str) -> str:
    """The preset as `-S key=value` flags of `dvc exp run`, for `$(...)`; ValueError for text that shells split."""
    flags = []
    for keys, value in leaves(name, read_mapping(PARAMS)):
        flags.append(f"-S {'.'.join(keys)}={_hydra(value)}")
        if len(flags[-1].split()) > 2:
            raise ValueError(f"{_path(name)}: {'.'.join(keys)} holds a space, which no flag can; leave --as-flags out")
    return " ".join(flags)


def leaves(name: str, params: Any) -> list[tuple[list[str], Any]]:
    """A preset's values as (keys, value); ValueError when params.yaml has no such key."""
    path = _path(name)
    try:
        overlay = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return _walk(overlay or {}, params, [], path)


def _path(name: str) -> Path:
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise ValueError(
            f"there is no preset {name!r}; known presets: {known} (back to the desk scale: `git checkout {PARAMS}`)"
        )
    return path


def _walk(overlay: Any, params: Any, keys: list[str], path: Path) -> list[tuple[list[str], Any]]:
    where = ".".join(keys) or "the file"
    if None in (overlay, params):  # what is switched on or off as a whole; the section's dataclass knows its keys
        return [(keys, overlay)]
    if isinstance(overlay, dict) != isinstance(params, dict):
        kind = "mapping" if isinstance(params, dict) else "value"
        raise ValueError(f"{path}: {where} must be a {kind}, as in {PARAMS}")
    if not isinstance(overlay, dict):
        return [(keys, overlay)]
    found = []
    for key, value in overlay.items():
        if key not in params:
            known = ", ".join(map(str, params))
            raise ValueError(f"{path}: {'.'.join([*keys, str(key)])} is not a key of {PARAMS}; known are {known}")
        found += _walk(value, params[key], [*keys, key], path)
    return found


def _hydra(value: Any) -> str:
    """A value in the grammar of `-S`."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_hydra(item)}" for key, item in value.items()) + "}"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
