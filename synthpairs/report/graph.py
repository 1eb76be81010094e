"""The pipeline as a Mermaid graph and a table, read from dvc.yaml, so that neither can be out of date."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synthpairs.report.tables import markdown_table

_TEMPLATE = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One entry of dvc.yaml; a matrix is one stage, and `*` stands for what differs in their paths."""

    name: str
    what: str  # its `desc`
    per: tuple[str, ...]  # what it runs once for, as `arm`: the keys of its matrix; empty without one
    reads: tuple[str, ...]  # dependencies that are not code
    writes: tuple[str, ...]  # outs, metrics and plots
    params: tuple[str, ...]


def read_stages(path: Path) -> list[Stage]:
    """The stages of a dvc.yaml in its order; ValueError names a file that is no pipeline."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `git checkout {path}` first")
    try:
        document = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or not isinstance(document.get("stages"), dict):
        raise ValueError(f"{path}: stages is missing")
    return [_stage(name, entry) for name, entry in document["stages"].items()]


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    paths = [path for path in _names(entry.get("deps", [])) if not path.endswith(".py") and path != "dvc.yaml"]
    return Stage(
        name=name,
        what=" ".join(str(entry.get("desc", "")).split()),
        per=tuple(str(key) for key in entry.get("matrix", {})),
        reads=tuple(paths),
        writes=tuple(path for kind in ("outs", "metrics", "plots") for path in _names(entry.get(kind, []))),
        params=tuple(_names(entry.get("params", []))),
    )


def _names(entries: list[Any]) -> list[str]:
    """Paths (or keys) of a list whose items are plain or carry flags, as in `{reports/x.json: {cache: false}}`."""
    names = [name for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]
    return [_TEMPLATE.sub("*", str(name)).rstrip("/") for name in names]


def links(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """(maker, user) pairs of stages, less those that a longer way through other stages implies; sorted."""
    users: dict[str, set[str]] = {stage.name: set() for stage in stages}
    for maker in stages:
        for user in stages:
            if maker is not user and any(_overlap(out, path) for out in maker.writes for path in user.reads):
                users[maker.name].add(user.name)
    reach: dict[str, set[str]] = {}

    def reachable(name: str) -> set[str]:
        if name not in reach:
            reach[name] = set()  # a cycle, which DVC refuses, must not keep us here for ever
            reach[name] = users[name].union(*(reachable(user) for user in users[name]))
        return reach[name]

    return sorted(
        (maker, user)
        for maker, direct in users.items()
        for user in direct
        if not any(user in reachable(other) for other in direct - {user})
    )


def _overlap(one: str, other: str) -> bool:
    """Whether two paths, in which `*` may stand for a matrix value, are the same or one lies within the other."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return all(fnmatchcase(a, b) or fnmatchcase(b, a) for a, b in pairs)


def sources(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """(path, stage) pairs of data that stages read and no stage makes, such as committed weights; sorted."""
    made = [out for stage in stages for out in stage.writes]
    return sorted(
        (path, stage.name) for stage in stages for path in stage.reads if not any(_overlap(out, path) for out in made)
    )


def mermaid(stages: Sequence[Stage]) -> str:
    """The stage graph as a fenced Mermaid block: boxes are stages, rounded ones what the repository brings along."""
    lines = ["```mermaid", "flowchart TD"]
    for stage in stages:
        each = f"<br/>once per {' and '.join(stage.per)}" if stage.per else ""
        lines.append(f'    {_node(stage.name)}["{stage.name}{each}"]')
    given = sources(stages)
    for number, path in enumerate(sorted({path for path, _ in given})):
        lines.append(f'    given{number}(["{path}"])')
        lines += [f"    given{number} --> {_node(user)}" for name, user in given if name == path]
    lines += [f"    {_node(maker)} --> {_node(user)}" for maker, user in links(stages)]
    return "\n".join([*lines, "```"])


def _node(name: str) -> str:
    return "stage_" + re.sub(r"\W", "_", name)  # a bare `end` would close the graph


def stage_table(stages: Sequence[Stage]) -> str:
    """What each stage reads and makes, and which sections of params.yaml shape it."""
    rows = []
    for stage in stages:
        command = f"`{stage.name}`" + (f" per {' and '.join(stage.per)}" if stage.per else "")
        cells = [", ".join(f"`{item}`" for item in items) for items in (stage.reads, stage.writes, stage.params)]
        rows.append([command, stage.what, *cells])
    return markdown_table(["stage", "what it does", "reads", "makes", "params"], rows)
