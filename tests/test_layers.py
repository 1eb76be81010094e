"""The rooms of synthpairs/ and what each may import: only rooms of lower layers, so that there is no cycle."""

import ast

from synthpairs.core.source import imported_files
from tests.pipeline import ROOT

LAYERS = (
    ("core",),
    ("runtime",),
    ("models", "emoji"),
    ("captions", "generation", "vlm"),
    ("scoring", "selection"),
    ("evaluation",),
    ("experiments",),
    ("report",),
    ("cli",),
)
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def modules():
    return [path.relative_to(ROOT) for path in sorted((ROOT / "synthpairs").rglob("*.py"))]


def test_every_module_lies_in_one_of_the_rooms():
    loose = [path.name for path in modules() if len(path.parts) == 2]
    assert loose == ["__init__.py", "__main__.py"]
    assert {path.parts[1] for path in modules() if len(path.parts) > 2} == set(LAYER)


def test_rooms_import_rooms_of_lower_layers_only():
    upwards = set()
    for path in modules():
        if len(path.parts) > 2:
            for other in imported_files(path):
                room, target = path.parts[1], other.parts[1]
                if len(other.parts) > 2 and target != room and LAYER[target] >= LAYER[room]:
                    upwards.add(f"{path} imports {other}")
    assert sorted(upwards) == []


def test_modules_do_not_import_each_other_in_a_circle():
    """Within a room too; what a function imports when it is called counts."""
    imports = {path: {other for other in imported_files(path) if other.suffix == ".py"} for path in modules()}
    while free := [path for path, others in imports.items() if not others & imports.keys() - {path}]:
        for path in free:
            del imports[path]
    assert sorted(map(str, imports)) == []


def test_every_package_says_what_it_is_for():
    packages = [path for path in modules() if path.name == "__init__.py"]
    assert [str(path) for path in packages if not ast.get_docstring(ast.parse((ROOT / path).read_text()))] == []
