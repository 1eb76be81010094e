"""The stage's work: choose pairs, measure them, and make numbers of the measures."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from synthpairs.core.schema import MEASURES
from synthpairs.core.storage import write_table
from synthpairs.evaluation.distributions.measure import measure
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.rankings import rankings
from synthpairs.evaluation.distributions.results import against_real, coupled, describe, preferences, with_both
from synthpairs.evaluation.distributions.sets import choose
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select

TABLE = "measures.parquet"


def make_distributions(
    params: Distributions, scores: Scores, select: Select, data: Path, out: Path
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, float]]:
    """Write `out`/measures.parquet; returns results, the candidates', selected and real pairs' measures (column `set`), numbers.

    ValueError when no picture of the candidates can be read.
    """
    chosen = choose(data, params.count, params.seed)
    rows, reused = measure(chosen.rows, params, scores, data)
    write_table(out / TABLE, [{"other_cosine": None} | row for row in rows], MEASURES)
    table = pd.DataFrame(rows, columns=[name for name in MEASURES.names if params.other or name != "other_cosine"])
    parts = {name: chosen.of(name, table) for name in chosen.keys}
    if parts["candidates"].empty:
        raise ValueError("distributions: no picture of the candidates can be read; see data/audit/audit.parquet")
    candidates = pq.read_metadata(data / "images/manifest.parquet").num_rows
    results = {
        "candidates": candidates,
        "unreadable": len(chosen.rows) - len(rows),
        "sets": describe(table, chosen),
        "against_real": against_real(table, chosen, params),
        "captions_with_both": len(with_both(table, chosen)),
        "coupled": coupled(table, chosen, params),
        "preferences": preferences(table, chosen, params),
        "rankings": rankings(parts["candidates"], select.k / candidates, select, params),
        "other": None if params.other is None else params.other.clip,
    }
    drawn = pd.concat([part.assign(set=name) for name, part in parts.items()], ignore_index=True)
    return results, drawn, {"reused": reused}
