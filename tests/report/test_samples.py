from pathlib import Path

import pytest

from synthpairs.core.storage import read_shard
from synthpairs.report.inputs import read_inputs
from synthpairs.report.samples import extremes, real_cells, sample, synthetic_cells


@pytest.fixture
def inputs(project):
    return read_inputs(("selected", "real"))


def test_best_and_worst_by_fused_score_one_per_caption(inputs, ranking):
    best, worst = extremes(inputs, ranking, 5)
    assert best["fused"].is_monotonic_decreasing
    assert worst["fused"].is_monotonic_increasing
    assert best["fused"].min() > worst["fused"].max()
    assert best["uid"].is_unique
    assert worst["uid"].is_unique
    everything, _ = extremes(inputs, ranking, 1000)
    assert len(everything) == inputs.scores["uid"].nunique()


def test_cells_carry_their_own_picture_and_scores(inputs, ranking):
    best, _ = extremes(inputs, ranking, 3)
    row = best.iloc[0]
    cell = synthetic_cells(best, Path("data"))[0]
    assert cell.picture == dict(read_shard(Path("data/images") / row["shard"]))[row["key"]]["png"]
    assert cell.caption == row["text"]
    assert cell.note == f"CLIP {row['clip_cosine']:.2f} SSIM {row['ssim']:.2f}"


def test_real_cells_carry_the_caption_s_original(inputs):
    rows = sample(inputs.pairs["real"], 4, 0)
    originals = inputs.kept.set_index("uid")["original"]
    cells = real_cells(rows, Path("data"))
    assert [cell.picture for cell in cells] == [originals[uid] for uid in rows["uid"]]
    assert all(cell.note == "" for cell in cells)
