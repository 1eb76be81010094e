"""Stability of a selection under resampling of the captions."""

import numpy as np
import pandas as pd

from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

RESAMPLES = 200  # of the captions


def stability(candidates: pd.DataFrame, params: Select, resamples: int = RESAMPLES) -> float:
    """Probability that a selected candidate is selected again from a bootstrap sample of the captions that contains it.

    From a sample the share k / candidates is selected. 1: the selection does not depend on the sample; a random selection has
    that share itself.
    """
    ranked, _ = rank_candidates(candidates, params)
    captions, caption_index = np.unique(ranked["uid"], return_inverse=True)
    rng, share = np.random.default_rng(params.seed), min(1.0, params.num_pairs / len(ranked))
    selected = np.arange(len(ranked)) < params.num_pairs
    num_again = num_present = 0
    for _ in range(resamples):
        copies = np.bincount(rng.integers(len(captions), size=len(captions)), minlength=len(captions))[caption_index]
        num_above = np.cumsum(copies) - copies
        again = num_above < share * copies.sum()
        present = selected & (copies > 0)
        num_again += int((again & present).sum())
        num_present += int(present.sum())
    return num_again / num_present
