"""Stability of a selection under resampling of the captions."""

import numpy as np
import pandas as pd

from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

RESAMPLES = 200  # of the captions


def stability(candidates: pd.DataFrame, params: Select, resamples: int = RESAMPLES) -> float:
    """Chance that one of the selected is selected again when captions are drawn anew with replacement, if it is drawn.

    The share k / candidates is kept. 1: no selected one's rank depends on the others; a selection by chance alone has that
    share itself.
    """
    pool, _ = rank_candidates(candidates, params)
    captions, caption = np.unique(pool["uid"], return_inverse=True)
    rng, share = np.random.default_rng(params.seed), min(1.0, params.k / len(pool))
    selected = np.arange(len(pool)) < params.k
    kept = drawn_again = 0
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(len(captions), size=len(captions)), minlength=len(captions))[caption]
        before = np.cumsum(drawn) - drawn  # how many stand above, copies counted
        again = before < share * drawn.sum()
        present = selected & (drawn > 0)
        kept, drawn_again = kept + int((again & present).sum()), drawn_again + int(present.sum())
    return kept / drawn_again
