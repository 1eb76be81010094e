"""Presets: values for params.yaml at another scale. A preset file holds only what differs.

params.yaml stays the one place where values stand: a preset is written into it, so `git diff params.yaml` and
`dvc params diff` show what it changed, and `git checkout params.yaml` takes it back.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from synthpairs.params import PARAMS, parse_mapping, read_mapping
from synthpairs.storage import write_bytes

FOLDER = Path("presets")
_KEY = re.compile(r"(?!(?i:null|true|false|inf|nan)$)[A-Za-z_][\w-]*")  # what a mapping's key may be in a flag
_NO_FLAG = {r"\s": "a space", "'": "a quote", r"\\": "a backslash", r"\$\{": "${", r"^\?\?\?$": "???"}
_BELOW = re.compile(r"(?:\r?\n[ \t]*(?:#[^\r\n]*)?)*\Z")  # empty lines and comments behind a block


def apply(name: str) -> dict[str, Any]:
    """Write a preset into params.yaml, whose other bytes stay as they are; returns what changed, by dotted key."""
    current, text = read_mapping(PARAMS), PARAMS.read_bytes().decode()  # read_text would change CRLF into LF
    root = YAML().compose(text)
    changed: dict[str, Any] = {}
    edits = []
    for keys, value in leaves(name, current):
        old, parent, label, node = current, root, root, root
        for key in keys:
            old, parent = old[key], node
            label, node = next(item for item in parent.value if item[0].value == str(key))
        if (type(old), old) == (type(value), value):
            continue
        changed[".".join(keys)] = value
        if parent.flow_style:
            edits.append((node.start_mark.index, node.end_mark.index, json.dumps(value, ensure_ascii=False)))
        else:
            edits += _edits(text, label, node, value)
    for start, end, written in sorted(edits, reverse=True):  # from the end, so that earlier places stay true
        text = text[:start] + written + text[end:]
    if changed:
        write_bytes(PARAMS, text.encode())
    return changed


def _edits(text: str, label: Any, node: Any, value: Any) -> list[tuple[int, int, str]]:
    """Where to write what for a key of a block mapping: as DVC writes values, the comment still in its column."""
    newline = "\r\n" if "\r\n" in text else "\n"
    head, block = (part.replace("\n", newline) for part in _written(label, value))
    colon = text.index(":", label.end_mark.index) + 1
    start, end = node.start_mark.index, node.end_mark.index
    if start == end:  # `key:` alone says null, and its mark lies behind the comment
        start = end = colon
    end = start + len(_BELOW.sub("", text[start:end]))
    apart = text[colon:start].strip() != ""  # a comment stands between
    behind = colon if apart else end
    line_end = _line_end(text, behind)
    comment = text[behind:line_end].lstrip()
    if comment:
        column = line_end - len(comment) - _line_start(text, line_end)
        begun = len(head) - _line_start(head, len(head)) + (0 if "\n" in head else label.end_mark.column + 1)
        head += " " * max(column - begun, 1) + comment
    if not apart:
        return [(colon, line_end, head + block)]
    return [(colon, line_end, head), (_line_end(text, _line_start(text, start) - 1), end, block)]


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end


def _written(label: Any, value: Any) -> tuple[str, str]:
    """What stands between `key:` and the comment, and what below, in the form in which DVC writes it."""
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    document = {label.value: value}
    for _ in range(label.start_mark.column // 2):  # as deep, since long lines break at a column
        document = {"": document}
    yaml.dump(document, stream)
    _, _, text = stream.getvalue().removesuffix("\n").partition(f"{label.value}:")
    text = text.replace("\n", "\n" + " " * (label.start_mark.column % 2))
    if isinstance(value, list | dict):
        head, line_end, below = text.partition("\n")
        return head, line_end + below
    return text, ""


def as_flags(name: str) -> str:
    """The preset as `-S key=value` flags of `dvc exp run`, for `$(...)`; ValueError for what no flag can hold."""
    flags = []
    for keys, value in leaves(name, read_mapping(PARAMS)):
        key = ".".join(keys)
        try:
            flags.append(f"-S {key}={_hydra(value)}")
        except ValueError as error:
            raise ValueError(f"{_path(name)}: {key} holds {error}, which no flag can; leave --as-flags out") from None
    return " ".join(flags)


def leaves(name: str, params: Any) -> list[tuple[list[str], Any]]:
    """A preset's values as (keys, value); ValueError when params.yaml has no such key."""
    path = _path(name)
    return _walk(parse_mapping(path.read_bytes() or b"{}", str(path)), params, [], path)


def _path(name: str) -> Path:
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise ValueError(
            f"there is no preset {name!r}; known presets: {known} (back to the desk scale: `git checkout {PARAMS}`)"
        )
    return path


def _walk(overlay: Any, params: Any, keys: list[str], path: Path) -> list[tuple[list[str], Any]]:
    where = ".".join(keys)
    if None in (overlay, params):  # what is switched on or off as a whole; the section's dataclass knows its keys
        return [(keys, overlay)]
    if isinstance(overlay, dict) != isinstance(params, dict):
        kind = "mapping" if isinstance(params, dict) else "value"
        raise ValueError(f"{path}: {where} must be a {kind}, as in {PARAMS}")
    if not isinstance(overlay, dict):
        return [(keys, overlay)]
    values = []
    for key, value in overlay.items():
        if key not in params:
            known = ", ".join(map(str, params))
            raise ValueError(f"{path}: {'.'.join([*keys, str(key)])} is not a key of {PARAMS}; known are {known}")
        values += _walk(value, params[key], [*keys, key], path)
    return values


def _hydra(value: Any) -> str:
    """A value in the grammar of `-S`; ValueError says what in it the grammar, DVC or a shell would change."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, dict):
        for key in value:
            if not (isinstance(key, str) and _KEY.fullmatch(key)):
                raise ValueError(f"the key {key!r}")
        return "{" + ",".join(f"{key}:{_hydra(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        for pattern, what in _NO_FLAG.items():
            if re.search(pattern, value):
                raise ValueError(what)
        return f"'{value}'"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
