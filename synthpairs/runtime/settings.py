"""Settings of how a stage is run: runtime.yaml at the project's root, or environment variables, which override it.

They belong to a machine and change no result, but low bits where torch.compile or channels_last is on: git ignores the file,
DVC does not see it and no fingerprint contains them. `SYNTHPAIRS_WORKERS=2` is the same as `workers: 2`. runtime.example.yaml
lists all settings with their defaults.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from synthpairs.core.config import Within, convert, parse_mapping

FILE = "runtime.yaml"
PREFIX = "SYNTHPAIRS_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Values of runtime.yaml; runtime.example.yaml describes them. Switches may also be `on` and `off`."""

    tracking: bool = True
    log: Literal["debug", "info", "warning", "error"] | None = None
    budget_hours: Annotated[float, Within(0)] | None = None

    engine: Literal["local", "ray"] = "local"
    workers: Annotated[int, Within(0, 10_000)] | None = None
    devices: list[Annotated[int, Within(0)]] | None = None
    gpus: Annotated[float, Within(0, 16)] | None = None
    address: str | None = None
    tries: Annotated[int, Within(1, 100)] = 3
    timeout_s: Annotated[float, Within(1)] = 1800.0
    compile: bool = False
    channels_last: bool = False

    launch: str | None = None
    fsdp: bool = False
    recompute: bool = False

    def environment(self) -> dict[str, str]:
        """The same settings as environment variables, for a process on another machine."""
        return {_variable(key): json.dumps(value) for key, value in asdict(self).items()}


def load_runtime() -> Runtime:
    """The settings in force. ValueError names file or variable, key, value and what is allowed."""
    path = Path(os.environ.get("DVC_ROOT", ".")) / FILE  # not the copy that `dvc exp run --temp` works in
    kinds = get_type_hints(Runtime, include_extras=True)
    values = parse_mapping(path.read_bytes() or b"{}", FILE) if path.exists() else {}
    for key in values:
        if key not in kinds:
            raise ValueError(f"{FILE}: {key} is not a known setting; known are {', '.join(kinds)}")
    for key in kinds:
        if (variable := _variable(key)) in os.environ:
            content = f"{key}: {os.environ[variable]}".encode(errors="surrogateescape")
            values[key] = parse_mapping(content, variable)[key]
    return Runtime(**{key: _converted(key, kinds[key], value) for key, value in values.items()})


def origin(key: str) -> str:
    """Where a setting's value comes from, as error messages name it."""
    return _variable(key) if _variable(key) in os.environ else f"{FILE}: {key}"


def _variable(key: str) -> str:
    return PREFIX + key.upper()


def _converted(key: str, kind: Any, value: Any) -> Any:
    if isinstance(value, str) and (kind is bool or key == "log"):
        value = value.lower()
    if kind is bool:
        if not isinstance(value, bool) and value not in ("on", "off"):
            raise ValueError(f"{origin(key)} must be on or off, got {value!r}")
        return value in (True, "on")
    return convert(kind, value, origin(key))
