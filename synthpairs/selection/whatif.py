"""Another selection from the same score table: who would come in, who would go, and how much chance is in it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synthpairs.markdown import markdown_table
from synthpairs.params import load_params
from synthpairs.selection.make import read_candidates
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.selection.stability import stability


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Two selections of one score table, as rows of the ranked pool, and how stable each is."""

    now: pd.DataFrame
    then: pd.DataFrame
    shared: int  # pairs in both
    stability: tuple[float, float]  # of each, see `stability`


def changed(params: Select, path: Path, values: Sequence[str]) -> Select:
    """`params` of the file `path` with NAME=VALUE of their section; ValueError for what is none of it or out of range."""
    section = YAML(typ="safe").load(path)["select"]
    for value in values:
        name, given, text = value.partition("=")
        if not given or name not in section:
            raise ValueError(f"NAME=VALUE with a NAME of {', '.join(params.__slots__)} is wanted, got {value!r}")
        try:
            section[name] = YAML(typ="safe").load(text)
        except YAMLError as error:
            raise ValueError(f"{value!r} is not valid YAML: {error}") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        YAML().dump({"select": section}, file)
        try:
            return load_params(Select, "select", file)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{file}: ", "")) from None


def what_if(now: Select, then: Select, data: Path) -> WhatIf:
    """Both selections from the scores in `data`; no picture is read. Errors as those of the stage `select`."""
    candidates = read_candidates(data)
    both = [select_top_k(rank_candidates(candidates, params)[0], params) for params in (now, then)]
    return WhatIf(
        now=both[0],
        then=both[1],
        shared=len(set(both[0]["key"]) & set(both[1]["key"])),
        stability=(stability(candidates, now), stability(candidates, then)),
    )


def told(found: WhatIf, captions: pd.DataFrame) -> str:
    """The comparison as Markdown; `captions` have uid and source."""
    columns = {"now": found.now, "then": found.then}
    source = captions.set_index("uid")["source"]
    rows: list[list[str]] = [["pairs", *(f"{len(table):,}" for table in columns.values())]]
    for name in ("clip_cosine", "ssim"):
        rows.append([f"mean {name}", *(f"{table[name].mean():.4f}" for table in columns.values())])
    for name in sorted(set(source)):
        rows.append(
            [f"of {name} captions", *(f"{(table['uid'].map(source) == name).sum():,}" for table in columns.values())]
        )
    rows.append(["different concepts", *(f"{table['concept'].nunique():,}" for table in columns.values())])
    rows.append(["selected again from captions drawn anew", *(f"{value:.1%}" for value in found.stability)])
    smaller = min(map(len, columns.values()))
    return (
        f"{markdown_table(['', *columns], rows, words=[0])}\n\n"
        f"{found.shared:,} pairs are in both, {found.shared / smaller:.1%} of the smaller one.\n"
    )
