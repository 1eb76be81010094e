"""Import closure of a program, by static analysis, and its hash: which source files its results depend on.

DVC does not follow imports, so the deps of each stage must cover its closure (tests/test_pipeline.py compares). Work stores
(synthpairs.core.storage.WorkStore) are keyed by the hash, so that edited code does not reuse old results.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("synthpairs", "stages", "desk_models")
RUNTIME = "runtime"  # the package of synthpairs/ that changes no result: left out of all closures
FRAME = Path("stages/__init__.py")  # which calls it, and is left out as well


def source_hash(program: str | None = None) -> str:
    """SHA-256 of a module's import closure, by default of the running program; of all our code where that is not ours."""
    spec = None if program else getattr(sys.modules["__main__"], "__spec__", None)
    name = program or (spec.name if spec else "")
    return _hash(name if name.partition(".")[0] in PACKAGES else "")


@cache
def _hash(name: str) -> str:
    if name:
        *_, module = module_files(name)  # after its packages
        files = import_closure(module)
    else:
        files = {file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.as_posix()}\0".encode() + (ROOT / file).read_bytes() + b"\0")
    return total.hexdigest()


def import_closure(module: Path) -> set[Path]:
    """All first-party files, relative to ROOT, that running a module can import, and their data; without RUNTIME and FRAME."""
    closure: set[Path] = set()
    todo = [module]
    while todo:
        path = todo.pop()
        if path not in closure and path != FRAME and path.parts[:2] != ("synthpairs", RUNTIME):
            closure.add(path)
            todo += imported_files(path) if path.suffix == ".py" else []
    return closure


def imported_files(path: Path) -> Iterator[Path]:
    """First-party files that a module imports, also inside functions, and files of its folder that it names in strings."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from module_files(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*path.parts[: -node.level], node.module or ""]) if node.level else node.module or ""
            for alias in node.names:
                yield from module_files(f"{base}.{alias.name}".replace("..", "."))
                yield from module_files(base.rstrip("."))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.-]+", str(node.value)):
            data = path.parent / str(node.value)
            if (ROOT / data).is_file() and data.name != "params.yaml":  # DVC tracks its values, not the file
                yield data


def module_files(name: str) -> Iterator[Path]:
    """The file of a dotted first-party name, and its packages' `__init__` files that hold more than a docstring."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return
    for depth in range(1, len(parts) + 1):
        package, module = (Path(*parts[:depth], *last).with_suffix(".py") for last in (["__init__"], []))
        if depth == len(parts) and (ROOT / module).exists():
            yield module
        elif (ROOT / package).exists() and len(ast.parse((ROOT / package).read_text()).body) > 1:
            yield package
