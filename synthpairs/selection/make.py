"""Stage `select`: from scores to data/selection, the selected candidates and the training pairs of each arm."""

import logging
from collections.abc import Sequence
from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.core.schema import PAIR_SCORES, PAIRS, SELECTED
from synthpairs.core.storage import write_table
from synthpairs.selection.arms import make_training_pairs
from synthpairs.selection.candidate_tables import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

log = logging.getLogger(__name__)


def make_selection(params: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict:
    """Write `out` (selected.parquet, pairs/ARM.parquet) from `data`; returns metrics."""
    if len(set(arms)) < len(arms):
        raise ValueError(f"params.yaml: arms must name each arm once, got {arms}")
    candidates = read_candidates(data)
    captions, rejected = read_captions(data, pictured="all-real" in arms)
    ranked, excluded = rank_candidates(candidates, params)
    selected = ranked.head(params.num_pairs)
    if len(selected) < params.num_pairs:
        hint = "; with select.best_of each caption counts once" if params.best_of else ""
        if params.per_concept is not None:
            hint += f"; select.per_concept lets in {params.per_concept} of each concept"
        log.warning(
            "select.num_pairs is %d, but only %d candidates compete%s: all are taken",
            params.num_pairs,
            len(ranked),
            hint,
        )
    scored = candidates.dropna(subset=PAIR_SCORES)
    counts: dict[str, dict[str, int]] = {}
    for arm in arms:
        training_pairs, counts[arm] = make_training_pairs(arm, selected, scored, captions, rejected, params)
        write_table(out / f"pairs/{arm}.parquet", training_pairs, PAIRS)
    for path in sorted((out / "pairs").glob("*.parquet")):
        if path.stem not in counts:
            path.unlink()
    write_table(out / "selected.parquet", selected, SELECTED)
    columns = ("score", *PAIR_SCORES)
    means = {column: round(float(selected[column].mean()), 4) if len(selected) else None for column in columns}
    metrics = {"candidates": len(candidates)} | excluded | {"competing": len(ranked), "asked": params.num_pairs}
    return metrics | {"selected": len(selected), "mean": means, "arms": counts}
