from synthpairs.core.storage import read_shard
from synthpairs.report.samples import extremes, real_cells, sample, synthetic_cells
from tests.report.conftest import RANKING


def test_best_and_worst_by_fused_score_one_per_caption(inputs):
    best, worst = extremes(inputs, RANKING, 5)
    assert best["fused"].is_monotonic_decreasing
    assert worst["fused"].is_monotonic_increasing
    assert best["fused"].min() > worst["fused"].max()
    assert best["uid"].is_unique
    assert worst["uid"].is_unique
    assert len(extremes(inputs, RANKING, 1000)[0]) == inputs.scores["uid"].nunique()


def test_cells_carry_their_own_picture_caption_and_scores(inputs, made_project):
    data = made_project / "data"
    best, _ = extremes(inputs, RANKING, 3)
    row, cell = best.iloc[0], synthetic_cells(best, data)[0]
    assert cell.picture == dict(read_shard(data / "images" / row["shard"]))[row["key"]]["png"]
    assert (cell.caption, cell.note) == (row["text"], f"CLIP {row['clip_cosine']:.2f} SSIM {row['ssim']:.2f}")
    rows, originals = sample(inputs.pairs["real"], 4, 0), inputs.kept.set_index("uid")["original"]
    cells = [(cell.picture, cell.caption, cell.note) for cell in real_cells(rows, data)]
    assert cells == [(originals[uid], text, "") for uid, text in zip(rows["uid"], rows["text"], strict=True)]
