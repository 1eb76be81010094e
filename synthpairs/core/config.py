"""Strict reading of params.yaml: each section as a frozen dataclass, or one line with all its errors.

A section's dataclass lies with the code that it configures. Its field types are all that is checked: `int`, `float`, `str`,
`bool`, `Literal[...]`, `list[...]`, `dict[str, ...]`, nested dataclasses, `X | None`, ranges as `Annotated[float, Within(0, 1)]`,
and `object` for values that a third-party library checks. There are no defaults: all values are in params.yaml.
"""

import contextlib
import json
import math
import textwrap
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from synthpairs.core.renamed_params import KEYS, SECTIONS

T = TypeVar("T")
PARAMS = Path("params.yaml")  # the working directory of stages and commands is the project's root
LONGEST = 300  # characters kept of a parser's message, which may quote a whole section


@dataclass(frozen=True, slots=True)
class Within:
    """Closed range of a number; `None` leaves a side open."""

    low: float | None = None
    high: float | None = None

    def contains(self, value: float) -> bool:
        """Whether the value lies in the range; NaN does not."""
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        return low <= value <= high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"<= {self.high}" if self.low is None else f">= {self.low}"
        return f"from {self.low} to {self.high}"


Seed = Annotated[int, Within(0, 2**31 - 1)]  # what every library and server takes


class ParamsError(ValueError):
    """All errors of one value, joined to one line as text."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def messages(error: Exception) -> list[str]:
    """The single errors that an exception combines, each as one line."""
    return [" ".join(text.split()) for text in getattr(error, "messages", [str(error)])]


def load_params(kind: type[T], section: str, path: Path = PARAMS) -> T:
    """One section of params.yaml as `kind`; ValueError names file, key, value and what is allowed."""
    return convert_section(kind, section, read_mapping(path), path)


def convert_section(kind: type[T], section: str, document: dict[str, Any], path: Path = PARAMS) -> T:
    """One section of a document that is already read; errors as load_params."""
    if section not in document:
        former = next((old for old, new in SECTIONS.items() if new == section and old in document), None)
        hint = f": {former!r} is called {section!r} now" if former else _elsewhere(path)
        raise ValueError(f"{path}: section {section!r} is missing{hint}")
    return convert(kind, document[section], f"{path}: {section}")


def read_mapping(path: Path = PARAMS) -> dict[str, Any]:
    """The mapping in a YAML file; ValueError names file and line, FileNotFoundError the folder above that has the file."""
    return parse_mapping(require_file(path).read_bytes(), str(path))


def require_file(path: Path = PARAMS) -> Path:
    """The path if it exists; FileNotFoundError names the folder above the working directory that has it."""
    if path.exists():
        return path
    if PARAMS.exists() or Path("dvc.yaml").exists():
        raise FileNotFoundError(f"{path} is missing: run `git checkout {path}` first")
    raise FileNotFoundError(f"{path} is not here{_elsewhere(path) or ', nor in a folder above: this is no project'}")


def _elsewhere(path: Path) -> str:
    for folder in Path.cwd().parents:
        if (folder / path).exists() and (folder / "dvc.yaml").exists() and not path.is_absolute():
            return f": run it in {folder}"
    return ""


def parse_mapping(content: bytes, where: str) -> dict[str, Any]:
    """The mapping in YAML text; ValueError begins with `where` and names the line."""
    try:
        # YAML 1.2, as DVC reads it: 1e-4 is a number and `on` a string.
        document = YAML(typ="safe").load(content.decode())
        json.dumps(document, default=str, skipkeys=True)  # ValueError for an alias that contains itself
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8: {_line(content, error.start)}: {error.reason}") from None
    except ReaderError as error:
        raise ValueError(f"{where}: not valid YAML: {_line(content, error.position)}: {error.reason}") from None
    except (YAMLError, ValueError, LookupError, RecursionError) as error:
        raise ValueError(f"{where}: not valid YAML: {textwrap.shorten(_reason(error), LONGEST)}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{where}: not a mapping")
    return document


def flatten(value: Any, separator: str = ".", prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with the keys joined; a list is one value, and so is an empty mapping."""
    if not isinstance(value, Mapping) or (prefix and not value):
        return {prefix: value}
    start = f"{prefix}{separator}" if prefix else ""
    parts = (flatten(item, separator, f"{start}{key}") for key, item in value.items())
    return {key: item for part in parts for key, item in part.items()}


def _line(content: bytes, position: int) -> str:
    return f"line {content[:position].count(10) + 1}"


def _reason(error: Exception) -> str:
    """A parser's message with the line numbers that it refers to."""
    if isinstance(error, LookupError):  # ruamel raises it for `!!bool maybe`
        return f"a value is not what its tag says: {error}"
    if not isinstance(error, MarkedYAMLError):
        return str(error)
    parts = ((error.problem, error.problem_mark), (error.context, error.context_mark))
    return ", ".join(f"line {mark.line + 1}: {text}" if mark else text for text, mark in parts if text)


def convert(kind: Any, value: Any, where: str) -> Any:
    """A value from YAML as type `kind`; ValueError names `where`, the value and what is allowed, for all errors in it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        converted = convert(arguments[0], value, where)
        limits = next(argument for argument in arguments[1:] if isinstance(argument, Within))
        if converted is not None and not limits.contains(converted):
            raise ValueError(f"{where} must be {limits}, got {value!r}")
        return converted
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return convert(next(argument for argument in arguments if argument is not type(None)), value, where)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):  # True == 1
            raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}; got {value!r}")
        return value
    if kind is object:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, got {value!r}")
        return _converted((arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, got {value!r}")
        items = _converted((arguments[1], item, f"{where}.{key}") for key, item in value.items())
        return dict(zip(map(str, value), items, strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value!r}")
    if kind is int and isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{where} must fit into 64 bits, got {value!r}")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping, got {value!r}")
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    renamed = {
        old: new for old, new in KEYS.get(where.rpartition(": ")[2], {}).items() if old in value and old not in names
    }
    errors = [f"{where}.{old} is called {new} now" for old, new in renamed.items()]
    unknown = [key for key in value if key not in names and key not in renamed]
    errors += [f"{where}.{key} is not a known key; known are {', '.join(names)}" for key in unknown]
    errors += [f"{where}.{name} is missing" for name in names if name not in value and name not in renamed.values()]
    present = [name for name in names if name in value]
    values = _converted(((hints[name], value[name], f"{where}.{name}") for name in present), errors)
    try:
        return kind(**dict(zip(present, values, strict=True)))
    except ValueError as error:  # of a check in __post_init__, which in a class of several sections knows the key alone
        text = str(error)
        raise ValueError(text if text.startswith(f"{PARAMS}: ") else f"{where}.{text}") from None


def _converted(items: Iterable[tuple[Any, Any, str]], errors: Sequence[str] = ()) -> list[Any]:
    """Each (kind, value, where) converted; ParamsError with `errors` and all of theirs."""
    results, all_errors = [], list(errors)
    for kind, value, where in items:
        try:
            results.append(convert(kind, value, where))
        except ValueError as error:
            all_errors += messages(error)
    if all_errors:
        raise ParamsError(all_errors)
    return results
