"""Strict reading of params.yaml: each stage gets its own section as a frozen dataclass, or all errors in one line.

A section's dataclass lives with the code that it configures. Field types say everything that is checked:
`int`, `float`, `str`, `bool`, `Literal[...]`, `list[...]`, `dict[str, ...]`, nested dataclasses, `X | None`, ranges
as `Annotated[float, Within(0, 1)]`, and `object` for any value, which a library of others checks. There are no defaults:
params.yaml is the one place where values stand.
"""

import contextlib
import json
import math
import textwrap
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

T = TypeVar("T")
PARAMS = Path("params.yaml")  # the working directory of stages and commands is the project's root
LONGEST = 300  # characters of a parser's message, which may quote a whole section


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


class ParamsError(ValueError):
    """Several things that are wrong with one value; as text they are one line."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def messages(error: Exception) -> list[str]:
    """Each thing that an error names, on one line."""
    return [" ".join(text.split()) for text in getattr(error, "messages", [str(error)])]


def load_params(kind: type[T], section: str, path: Path = PARAMS) -> T:
    """One section of params.yaml as `kind`; ValueError names file, key, value and what is allowed."""
    return convert_section(kind, section, read_mapping(path), path)


def convert_section(kind: type[T], section: str, document: dict[str, Any], path: Path = PARAMS) -> T:
    """As `load_params`, of a file that has been read."""
    if section not in document:
        raise ValueError(f"{path}: section {section!r} is missing{_elsewhere(path)}")
    return convert(kind, document[section], f"{path}: {section}")


def read_mapping(path: Path = PARAMS) -> dict[str, Any]:
    """The mapping that a YAML file holds; ValueError names file and line, FileNotFoundError where the file is instead."""
    return parse_mapping(existing(path).read_bytes(), str(path))


def existing(path: Path = PARAMS) -> Path:
    """A path of the project's root that exists; FileNotFoundError says in which folder above the working directory it does."""
    if path.exists():
        return path
    if PARAMS.exists() or Path("dvc.yaml").exists():
        raise FileNotFoundError(f"{path} is missing: run `git checkout {path}` first")
    raise FileNotFoundError(f"{path} is not here{_elsewhere(path) or ', nor in a folder above: this is no project'}")


def _elsewhere(path: Path) -> str:
    """Where to go for a file of the project's root, if it is above the working directory."""
    for folder in Path.cwd().parents:
        if (folder / path).exists() and (folder / "dvc.yaml").exists() and not path.is_absolute():
            return f": run it in {folder}"
    return ""


def parse_mapping(content: bytes, where: str) -> dict[str, Any]:
    """The mapping that YAML says; ValueError begins with `where` and names the line."""
    try:
        # YAML 1.2, as DVC reads it: 1e-4 is a number and `on` a string.
        document = YAML(typ="safe").load(content.decode())
        json.dumps(document, default=str, skipkeys=True)  # ValueError for an alias of what it stands in
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8: {_line(content, error.start)}: {error.reason}") from None
    except ReaderError as error:
        raise ValueError(f"{where}: not valid YAML: {_line(content, error.position)}: {error.reason}") from None
    except (YAMLError, ValueError, LookupError, RecursionError) as error:
        raise ValueError(f"{where}: not valid YAML: {textwrap.shorten(_reason(error), LONGEST)}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{where}: not a mapping")
    return document


def _line(content: bytes, position: int) -> str:
    return f"line {content[:position].count(10) + 1}"


def _reason(error: Exception) -> str:
    """What a parser complains of, and the lines that it names."""
    if isinstance(error, LookupError):  # ruamel's, for `!!bool maybe`
        return f"a value is not what its tag says: {error}"
    if not isinstance(error, MarkedYAMLError):
        return str(error)
    parts = ((error.problem, error.problem_mark), (error.context, error.context_mark))
    return ", ".join(f"line {mark.line + 1}: {text}" if mark else text for text, mark in parts if text)


def convert(kind: Any, value: Any, where: str) -> Any:
    """A value, as YAML has it, as `kind`; ValueError says of everything wrong in it, after `where`, what is allowed."""
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
        return _converted((arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be a mapping, got {value!r}")
        items = _converted((arguments[1], item, f"{where}.{key}") for key, item in value.items())
        return dict(zip(map(str, value), items, strict=True))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping, got {value!r}")
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    wrong = [f"{where}.{key} is not a known key; known are {', '.join(names)}" for key in value if key not in names]
    wrong += [f"{where}.{name} is missing" for name in names if name not in value]
    present = [name for name in names if name in value]
    values = _converted(((hints[name], value[name], f"{where}.{name}") for name in present), wrong)
    return kind(**dict(zip(present, values, strict=True)))


def _converted(items: Iterable[tuple[Any, Any, str]], wrong: Sequence[str] = ()) -> list[Any]:
    """Each (kind, value, where) converted; an error names what is wrong with all of them, after what was `wrong` before."""
    results, faults = [], list(wrong)
    for kind, value, where in items:
        try:
            results.append(convert(kind, value, where))
        except ValueError as error:
            faults += messages(error)
    if faults:
        raise ParamsError(faults)
    return results
