"""From scores to data/selection: the ranking, the best pairs, and the training set of each arm."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.core.schema import PAIRS, SELECTED
from synthpairs.core.storage import write_table
from synthpairs.selection.arms import make_arm
from synthpairs.selection.candidates import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k

log = logging.getLogger(__name__)


def make_selection(params: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict:
    """Write `out` (selected.parquet, pairs/ARM.parquet) from `data`; returns metrics."""
    if len(set(arms)) < len(arms):
        raise ValueError(f"params.yaml: arms must name each arm once, got {arms}")
    candidates, (captions, rejected) = read_candidates(data), read_captions(data)
    pool, lost = rank_candidates(candidates, params)
    selected = select_top_k(pool, params)
    if len(selected) < params.k:
        hint = "; with select.best_of each caption counts once" if params.best_of else ""
        if params.per_concept is not None:
            hint += f"; select.per_concept lets in {params.per_concept} of each concept"
        log.warning("select.k is %d, but only %d candidates compete%s: all are taken", params.k, len(pool), hint)
    scored = candidates.dropna(subset=["clip_cosine", "ssim"])
    sizes: dict[str, dict[str, int]] = {}
    for arm in arms:
        pairs, sizes[arm] = make_arm(arm, selected, scored, captions, rejected, params)
        write_table(out / f"pairs/{arm}.parquet", pairs, PAIRS)
    for path in sorted((out / "pairs").glob("*.parquet")):
        if path.stem not in sizes:
            path.unlink()
    write_table(out / "selected.parquet", selected, SELECTED)
    counts = {
        "candidates": len(candidates),
        **lost,
        "competing": len(pool),
        "asked": params.k,
        "selected": len(selected),
    }
    return counts | {"mean": _means(selected), "arms": sizes}


def _means(selected: pd.DataFrame) -> dict[str, float | None]:
    """Mean scores; None of an empty selection."""
    names = ("score", "clip_cosine", "ssim")
    return {name: round(float(selected[name].mean()), 4) if len(selected) else None for name in names}
