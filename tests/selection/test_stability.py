import numpy as np
import pandas as pd
import pytest

from synthpairs.selection.stability import stability


def candidates(count, score):
    keys = [f"{number:05d}" for number in range(count)]
    return pd.DataFrame({"key": keys, "uid": keys, "concept": "bus", "clip_cosine": score, "ssim": 0.0})


def test_all_are_selected_again_where_all_are_selected(settings):
    table = candidates(50, np.linspace(0.1, 0.4, 50))
    assert stability(table, settings(num_pairs=50, ssim_weight=0.0)) == 1
    assert stability(table, settings(num_pairs=5000, ssim_weight=0.0)) == 1
    assert stability(table[:1], settings(num_pairs=1)) == 1


def test_stability_equals_a_plain_bootstrap(settings):
    table, params = (
        candidates(60, np.random.default_rng(1).uniform(0.1, 0.4, 60)),
        settings(num_pairs=15, ssim_weight=0.0),
    )
    rng, kept, total = np.random.default_rng(2), 0, 0
    for _ in range(400):
        ranks = sorted(rng.integers(60, size=60))
        top = set(ranks[:15])  # the first quarter of the sample
        present = {rank for rank in ranks if rank < 15}
        kept, total = kept + len(present & top), total + len(present)
    assert stability(table, params, 400) == pytest.approx(kept / total, abs=0.02)
