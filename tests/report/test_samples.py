import pandas as pd

from synthpairs.core.storage import read_shard
from synthpairs.report.samples import concept_matched, extremes, real_cells, sample, synthetic_cells
from tests.report.conftest import SELECT


def test_best_and_worst_by_weighted_score_one_per_caption(results):
    best, worst = extremes(results, SELECT, 5)
    assert best["fused"].is_monotonic_decreasing
    assert worst["fused"].is_monotonic_increasing
    assert best["fused"].min() > worst["fused"].max()
    assert best["uid"].is_unique
    assert worst["uid"].is_unique
    assert len(extremes(results, SELECT, 1000)[0]) == results.scores["uid"].nunique()


def test_cells_have_their_own_image_caption_and_scores(results, made_project):
    data = made_project / "data"
    best, _ = extremes(results, SELECT, 3)
    row, cell = best.iloc[0], synthetic_cells(best, data)[0]
    assert cell.image == dict(read_shard(data / "images" / row["shard"]))[row["key"]]["png"]
    assert (cell.caption, cell.note) == (row["text"], f"CLIP {row['clip_cosine']:.2f} SSIM {row['ssim']:.2f}")
    rows, originals = (
        sample(results.pairs["real"], 4, 0),
        pd.read_parquet(data / "captions/kept.parquet").set_index("uid")["original"],
    )
    cells = [(cell.image, cell.caption, cell.note) for cell in real_cells(rows, data)]
    assert cells == [(originals[uid], text, "") for uid, text in zip(rows["uid"], rows["text"], strict=True)]


def test_a_generated_pair_is_followed_by_a_real_one_of_its_concept(synth2_results):
    tables = synth2_results.generated, synth2_results.real
    pairs = concept_matched(*tables, 5, 0)
    generated, real = pairs.iloc[::2], pairs.iloc[1::2]
    assert set(generated["key"]) <= set(tables[0]["key"])
    assert set(real["key"]) <= set(tables[1]["key"])
    assert generated["text"].is_unique
    same = [one == other for one, other in zip(generated["concept"], real["concept"], strict=True)]
    assert same == [concept != "unicorn" for concept in generated["concept"]]  # no real pair has that concept
    assert concept_matched(*(table.iloc[::-1] for table in tables), 5, 0).equals(pairs)
    assert not concept_matched(*tables, 5, 1).equals(pairs)
