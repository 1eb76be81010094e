"""Strict reading of params.yaml: each stage gets its own section as a frozen dataclass, or one clear error.

A section's dataclass lives with the code that it configures. Field types say everything that is checked:
`int`, `float`, `str`, `bool`, `Literal[...]`, `list[...]`, `dict[str, ...]`, nested dataclasses, `X | None`, ranges
as `Annotated[float, Within(0, 1)]`, and `object` for any value, which a library of others checks. There are no defaults:
params.yaml is the one place where values stand.
"""

import math
import types
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Within:
    """The closed range that a number must lie in; `None` leaves a side open."""

    low: float | None = None
    high: float | None = None

    def hold(self, value: float) -> bool:
        """Whether the value lies in the range; NaN lies in none."""
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        return low <= value <= high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"<= {self.high}" if self.low is None else f">= {self.low}"
        return f"from {self.low} to {self.high}"


def load_params(kind: type[T], section: str, path: Path = Path("params.yaml")) -> T:
    """One section of params.yaml as `kind`; ValueError names file, key, value and what is allowed."""
    try:
        document = YAML(typ="safe").load(path)  # YAML 1.2, as DVC reads it: 1e-4 is a number and `on` a string
    except YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or section not in document:
        raise ValueError(f"{path}: section {section!r} is missing")
    return convert(kind, document[section], f"{path}: {section}")


def convert(kind: Any, value: Any, where: str) -> Any:
    """A value, as YAML has it, as `kind`; ValueError begins with `where` and says what is allowed."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        converted = convert(arguments[0], value, where)
        limits = next(argument for argument in arguments[1:] if isinstance(argument, Within))
        if converted is not None and not limits.hold(converted):
            raise ValueError(f"{where} must be {limits}, got {value!r}")
        return converted
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(next(argument for argument in arguments if argument is not type(None)), value, where)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):  # True is no 1
            raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}; got {value!r}")
        return value
    if kind is object:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, got {value!r}")
        return [convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, got {value!r}")
        return {str(key): convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping, got {value!r}")
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    unknown, missing = sorted(map(str, set(value) - set(names))), [name for name in names if name not in value]
    if unknown:
        raise ValueError(f"{where}.{unknown[0]} is not a known key; known are {', '.join(names)}")
    if missing:
        raise ValueError(f"{where}.{missing[0]} is missing")
    return kind(**{name: convert(hints[name], value[name], f"{where}.{name}") for name in names})
