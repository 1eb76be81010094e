"""Presets: sets of values for params.yaml. A preset file holds only what differs.

A preset is written into params.yaml, the only file that stages read, in DVC's own format: `git diff params.yaml` and
`dvc params diff` show the changes, and `git checkout params.yaml` undoes them.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from synthpairs.core.config import PARAMS, parse_mapping, read_mapping
from synthpairs.core.storage import write_bytes

FOLDER = Path("presets")
_KEY = re.compile(r"(?!(?i:null|true|false|inf|nan)$)[A-Za-z_][\w-]*")  # keys of mappings that a flag can hold
_NO_FLAG = {r"\s": "a space", "'": "a quote", r"\\": "a backslash", r"\$\{": "${", r"^\?\?\?$": "???"}


def apply(name: str) -> dict[str, Any]:
    """Write a preset into params.yaml, keeping comments and line ends; returns the changed values by dotted key."""
    current, text = read_mapping(PARAMS), PARAMS.read_bytes().decode()  # read_text would change CRLF into LF
    yaml = YAML()
    yaml.preserve_quotes, yaml.default_flow_style, yaml.width = True, False, 4096
    document = yaml.load(text.replace("\r\n", "\n"))
    changed: dict[str, Any] = {}
    for (*parents, last), value in leaves(name, current):
        old, section = current, document
        for key in parents:
            old, section = old[key], section[key]
        if (type(old[last]), old[last]) != (type(value), value):  # 1, 1.0 and true are different
            section[last] = changed[".".join([*parents, last])] = value
            if value in ([], {}) and last in section.ca.items:
                section.ca.items[last][3] = None  # else ruamel omits a line end, and the file is invalid
    if changed:
        stream = io.StringIO()
        yaml.dump(document, stream)
        write_bytes(PARAMS, stream.getvalue().replace("\n", "\r\n" if "\r\n" in text else "\n").encode())
    return changed


def as_flags(name: str) -> str:
    """The preset as `-S key=value` flags of `dvc exp run`, for `$(...)`; ValueError for values that no flag can hold."""
    flags = []
    for keys, value in leaves(name, read_mapping(PARAMS)):
        key = ".".join(keys)
        try:
            flags.append(f"-S {key}={_hydra(value)}")
        except ValueError as error:
            raise ValueError(f"{_path(name)}: {key} holds {error}, which no flag can; omit --as-flags") from None
    return " ".join(flags)


def leaves(name: str, params: Any) -> list[tuple[list[str], Any]]:
    """A preset's values as (keys, value); ValueError for keys that params.yaml does not have."""
    path = _path(name)
    return _walk(parse_mapping(path.read_bytes() or b"{}", str(path)), params, [], path)


def _path(name: str) -> Path:
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise ValueError(f"there is no preset {name!r}; known presets: {known} (undo one: `git checkout {PARAMS}`)")
    return path


def _walk(overlay: Any, params: Any, keys: list[str], path: Path) -> list[tuple[list[str], Any]]:
    where = ".".join(keys)
    emptied = keys and overlay == {} and isinstance(params, dict)
    if None in (overlay, params) or emptied:  # a mapping is added or removed as a whole; its dataclass checks the keys
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
    """A value in the grammar of `-S`; ValueError names what the grammar, DVC or a shell would change."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if isinstance(value, dict):
        if not value:  # DVC would merge it with the present one
            raise ValueError("an empty mapping")
        for key in value:
            if not (isinstance(key, str) and _KEY.fullmatch(key)):
                raise ValueError(f"the key {key!r}")
        return "{" + ",".join(f"{key}:{_hydra(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        for pattern, name in _NO_FLAG.items():
            if re.search(pattern, value):
                raise ValueError(name)
        return f"'{value}'"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
