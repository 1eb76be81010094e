"""The pipeline of dvc.yaml as a Mermaid graph and as a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from synthpairs.core.config import read_mapping
from synthpairs.core.markdown import markdown_table

_ITEM = re.compile(r"\$\{item\.\w+\}")
CODE = ("stages", "synthpairs", "dvc.yaml")  # dependencies in these are not data
METRICS = "reports/metrics/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One entry of dvc.yaml; a matrix is one stage. Paths are (shown, real), with `*` for a matrix value in `shown`."""

    name: str
    description: str
    per: tuple[str, ...]  # keys of its matrix, such as `arm`
    reads: tuple[tuple[str, str], ...]  # dependencies that are not code
    writes: tuple[tuple[str, str], ...]  # outs, metrics and plots
    params: tuple[str, ...]


def read_stages(path: Path, params: Path) -> list[Stage]:
    """The stages of a dvc.yaml in its order, matrix values looked up in `params`; ValueError names what is invalid."""
    document, values = read_mapping(path), read_mapping(params)
    if not isinstance(document.get("stages"), dict):
        raise ValueError(f"{path}: stages is missing")
    return [_stage(name, entry, values, f"{path}: stages.{name}") for name, entry in document["stages"].items()]


def _stage(name: str, entry: dict[str, Any], values: dict[str, Any], where: str) -> Stage:
    matrix = {
        key: _members(members, values, f"{where}.matrix.{key}") for key, members in entry.get("matrix", {}).items()
    }
    items = [dict(zip(matrix, combination, strict=True)) for combination in product(*matrix.values())]
    written = [path for kind in ("outs", "metrics", "plots") for path in _names(entry.get(kind, []))]
    return Stage(
        name=name,
        description=" ".join(str(entry.get("desc", "")).split()),
        per=tuple(matrix),
        reads=_expanded([path for path in _names(entry.get("deps", [])) if path.split("/")[0] not in CODE], items),
        writes=_expanded(written, items),
        params=tuple(_names(entry.get("params", []))),
    )


def _members(members: Any, values: dict[str, Any], where: str) -> list[str]:
    """Values of a matrix: a list, or `${key}` of params.yaml."""
    if isinstance(members, str):
        members = values.get(members.removeprefix("${").removesuffix("}"))
    if not isinstance(members, list):
        raise ValueError(f"{where} must be a list or the name of one in params.yaml")
    return [str(member) for member in members]


def _names(entries: list[Any]) -> list[str]:
    """Paths (or keys) of a list whose items may have options, as in `{reports/x.json: {cache: false}}`."""
    names = [name for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]
    return [str(name).rstrip("/") for name in names]


def _expanded(paths: list[str], items: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    """(shown, real) for every path and matrix member."""
    pairs = []
    for path in paths:
        for item in items:
            real = path
            for key, value in item.items():
                real = real.replace(f"${{item.{key}}}", value)
            pairs.append((_ITEM.sub("*", path), real))
    return tuple(dict.fromkeys(pairs))


def links(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """Edges (producer, consumer) of the stage graph in their order, without those that a longer path implies."""
    consumers: dict[str, list[str]] = {
        producer.name: [
            consumer.name
            for consumer in stages
            if consumer is not producer
            and any(_overlap(out, path) for _, out in producer.writes for _, path in consumer.reads)
        ]
        for producer in stages
    }

    @cache
    def reachable(name: str) -> set[str]:
        return set(consumers[name]).union(*map(reachable, consumers[name]))

    return [
        (producer, consumer)
        for producer, direct in consumers.items()
        for consumer in direct
        if not any(consumer in reachable(other) for other in direct if other != consumer)
    ]


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies within the other."""
    return all(a == b for a, b in zip(one.split("/"), other.split("/"), strict=False))


def sources(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """(path, stage) pairs of data that no stage makes, such as committed weights, with the stages that read it; by path."""
    made = [out for stage in stages for _, out in stage.writes]
    read = [(path, stage.name) for stage in stages for _, path in stage.reads]
    return sorted((pair for pair in read if not any(_overlap(out, pair[0]) for out in made)), key=lambda pair: pair[0])


def mermaid(stages: Sequence[Stage]) -> str:
    """The stage graph as a fenced Mermaid block: boxes are stages, rounded ones files of the repository."""
    lines = ["```mermaid", "flowchart TD"]
    for stage in stages:
        each = f"<br/>once per {' and '.join(stage.per)}" if stage.per else ""
        lines.append(f'    {_node(stage.name)}["{stage.name}{each}"]')
    external = sources(stages)
    for number, path in enumerate(dict.fromkeys(path for path, _ in external)):
        lines.append(f'    given{number}(["{path}"])')
        lines += [f"    given{number} --> {_node(consumer)}" for name, consumer in external if name == path]
    lines += [f"    {_node(producer)} --> {_node(consumer)}" for producer, consumer in links(stages)]
    return "\n".join([*lines, "```"])


def _node(name: str) -> str:
    return "stage_" + re.sub(r"\W", "_", name)  # a bare `end` would close the graph


def stage_table(stages: Sequence[Stage]) -> str:
    """Description, dependencies, outs without metrics, and params of each stage."""
    shown = {real: name for stage in stages for name, real in stage.writes}  # a reader of all arms' files reads `*`
    rows = []
    for stage in stages:
        command = f"`{stage.name}`" + (f" per {' and '.join(stage.per)}" if stage.per else "")
        reads = dict.fromkeys(shown.get(real, name) for name, real in stage.reads)
        writes = dict.fromkeys(name for name, _ in stage.writes)
        data = [[path for path in paths if not path.startswith(METRICS)] for paths in (reads, writes)]
        cells = [", ".join(f"`{item}`" for item in items) for items in (*data, stage.params)]
        rows.append([command, stage.description, *cells])
    return markdown_table(["stage", "what it does", "reads", "makes", "params"], rows)
