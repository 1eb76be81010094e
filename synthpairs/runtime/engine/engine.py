"""Settings of how work is run. They belong to a machine, not to a result: DVC does not see them, and no fingerprint has them.

They stand in engine.yaml at the project's root, which git ignores, or in the environment, which goes before the file:
`SYNTHPAIRS_ENGINE_WORKERS=2` says the same as `workers: 2`. What is not said is as below.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synthpairs.core.config import Within, convert

FILE = "engine.yaml"
PREFIX = "SYNTHPAIRS_ENGINE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Who works, and how long a worker may be silent."""

    kind: Literal["local", "ray"] = "local"  # processes of this machine, or actors of a Ray cluster
    # Null: one for each accelerator, and without any this process itself (local) or one for each node (ray). 0: this process.
    workers: Annotated[int, Within(0, 10_000)] | None = None
    devices: list[Annotated[int, Within(0)]] | None = None  # local: which of the visible accelerators; null: all
    gpus: Annotated[float, Within(0, 16)] | None = (
        None  # ray: of each worker, below 1 shares one; null: 1 if there are any
    )
    address: str | None = None  # ray: of a running cluster, `auto` or HOST:PORT; null: one of its own on this machine
    tries: Annotated[int, Within(1, 100)] = 3  # workers that one candidate may kill before it is given up
    # Seconds from one sign of life to the next (model loaded, batch finished), after which a worker counts as stuck.
    lease_s: Annotated[float, Within(1)] = 1800.0
    compile: bool = False  # torch.compile the generator's denoiser: minutes at first, then faster; moves low bits
    channels_last: bool = False  # lay out its convolutions for tensor cores; moves low bits

    def environment(self) -> dict[str, str]:
        """The same settings as environment variables, for a process elsewhere."""
        return {PREFIX + name.upper(): json.dumps(value) for name, value in asdict(self).items()}


def load_engine() -> Engine:
    """The settings in force. ValueError names file or variable, key, value and what is allowed."""
    path = Path(os.environ.get("DVC_ROOT", ".")) / FILE  # not the copy that `dvc exp run --temp` works in
    said = (_parsed(_text(path), FILE) if path.exists() else None) or {}
    if not isinstance(said, dict):
        raise ValueError(f"{FILE} must be a mapping of settings, got {said!r}")
    values = {str(key): _converted(str(key), value, f"{FILE}: {key}") for key, value in said.items()}
    for key, variable in _variables().items():
        values[key] = _converted(key, _parsed(os.environ[variable], variable), variable)
    return replace(Engine(), **values)


def named(key: str) -> str:
    """A setting by where its value is from, as errors name it."""
    return _variables().get(key, f"{FILE}: {key}")


def _variables() -> dict[str, str]:
    """The variable of each setting that the environment has one of."""
    found = sorted(name for name in os.environ if name.startswith(PREFIX))
    return {name.removeprefix(PREFIX).lower(): name for name in found}


def _converted(key: str, value: Any, where: str) -> Any:
    hints = get_type_hints(Engine, include_extras=True)
    if key not in hints:
        raise ValueError(f"{where} is not a known setting; known are {', '.join(hints)}")
    if key == "devices" and not isinstance(value, list | NoneType):
        raise ValueError(f"{where} must be a list such as [0, 1], or null for all; got {value!r}")
    return convert(hints[key], value, where)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{FILE}: not a text in UTF-8: {error.reason} at byte {error.start}") from None


def _parsed(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ValueError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
