import io
import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from synthpairs.core.schema import CANDIDATES, PAIRS, SELECTED
from synthpairs.core.storage import write_table
from synthpairs.evaluation.distributions.figure import distributions_figure
from synthpairs.evaluation.distributions.make import TABLE, make_distributions
from synthpairs.evaluation.distributions.params import OtherClip
from synthpairs.evaluation.distributions.results import tracked_metrics
from synthpairs.evaluation.distributions.sets import draw_sets
from synthpairs.report.sections.distributions import section
from synthpairs.scoring.score import score_images
from synthpairs.selection.make import make_selection


@pytest.fixture
def selected(data, settings, scores):
    """The data with real scores of a tiny CLIP, and a selection from them."""
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    score_images(manifest, scores(), data / "images", data / "scores")
    make_selection(settings(), ["selected", "real"], data, data / "selection")
    return data


def test_candidates_keep_their_scores_and_real_pairs_get_some(selected, params, scores, settings, edit_code):
    other = replace(params, other=OtherClip(clip=scores().clip, pretrained=None))

    def make(out):
        return make_distributions(other, scores(), settings(), selected, selected / out)

    results, measures, volatile = make("one")
    table = pd.read_parquet(selected / "one" / TABLE).set_index("key")
    known = pd.read_parquet(selected / "scores/scores.parquet").set_index("key")
    both = table.loc[known.index]
    pd.testing.assert_series_equal(both["clip_cosine"], known["clip_cosine"])
    assert (table["other_cosine"] == table["clip_cosine"]).all()
    assert set(table["origin"]) == {"real", "synthetic"}
    assert results["rankings"]["cosines"]["value"] == 1
    assert distributions_figure(measures) == distributions_figure(measures)
    assert {name: one["n"] for name, one in results["sets"].items()} == {"candidates": 16, "selected": 3, "real": 3}
    assert set(measures["set"]) == {"candidates", "selected", "real"}
    assert volatile == {"reused": 0}
    again, _, volatile = make("two")
    assert (selected / "one" / TABLE).read_bytes() == (selected / "two" / TABLE).read_bytes()
    assert again == results
    assert volatile == {"reused": len(table)}
    few, all_ = (draw_sets(selected, count, seed=0) for count in (2, 100))
    assert {name: len(keys) for name, keys in few.keys.items()} == {"candidates": 2, "selected": 2, "real": 2}
    assert all(set(few.keys[name]) < set(all_.keys[name]) for name in few.keys), "the start of a larger draw"
    assert few.keys != draw_sets(selected, 2, seed=1).keys
    edit_code()
    assert make("two")[2] == {"reused": 0}


def test_ssim_is_compared_at_one_size_and_rankings_go_by_the_scores(selected, params, scores, settings):
    """Candidates have 64 pixels, real images 32."""
    known = pd.read_parquet(selected / "scores/scores.parquet").set_index("key")["ssim"]
    results = {}
    for size in (32, 64):
        results[size], measures, _ = make_distributions(
            replace(params, image_size=size), scores(), settings(), selected, selected / "out"
        )
        table = measures[measures["set"] == "candidates"].set_index("key")["ssim"]
        assert table[known.index].equals(known) == (size == 64)
    first, second = (
        {name: one["standardised"]["ssim"] for name, one in each["rankings"]["strategies"].items()}
        for each in results.values()
    )
    assert first == second
    assert (
        results[32]["sets"]["candidates"]["measures"]["ssim"] != results[64]["sets"]["candidates"]["measures"]["ssim"]
    )
    with pytest.raises(
        ValueError, match=r"distributions.image_size must be above scores.ssim.downscale_to, 21, got 20"
    ):
        make_distributions(replace(params, image_size=20), scores(), settings(), selected, selected / "out")


@pytest.mark.parametrize(
    ("candidates", "real", "k"), [(16, None, 3), (16, 0, 3), (16, 1, 1), (16, 3, 0), (1, 3, 1)]
)  # None: without that arm
def test_few_pairs_or_none_are_a_result(selected, params, scores, settings, candidates, real, k):
    path = selected / "selection/pairs/real.parquet"
    few = {"images/manifest": (candidates, CANDIDATES), "selection/selected": (k, SELECTED)}
    for name, (count, schema) in (few | {"selection/pairs/real": (real or 0, PAIRS)}).items():
        write_table(selected / f"{name}.parquet", pd.read_parquet(selected / f"{name}.parquet")[:count], schema)
    if real is None:
        path.unlink()
    if candidates == 1:  # no correlation is defined
        params = replace(params, other=OtherClip(clip=scores().clip, pretrained=None))
    select = settings(num_pairs=max(1, k), best_of=False)
    results, measures, _ = make_distributions(params, scores(), select, selected, selected / "out")
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    counts = {name: one["n"] for name, one in results["sets"].items()}
    keys = (set(pd.read_parquet(selected / f"{name}.parquet")["key"]) for name in few)
    assert counts == {"candidates": candidates, "selected": len(set.intersection(*keys)), "real": real or 0}
    assert (results["against_real"]["candidates"]["ssim"]["value"] is None) == (not real)
    assert results["coupled"] == {}, "no caption has both images"
    entropy = results["preferences"]["ssim"]["correlations"]["entropy"]
    assert (entropy == dict.fromkeys(("value", "low", "high"))) == (candidates == 1)
    page = section(results)
    assert "Too few to say: n = 0 captions with both images, 2 are needed." in page
    assert ("`real` holds no pair" in page) == (not real)
    assert ("do not vary." in page) == (candidates == 1)
    assert not re.search(r"nan|None", page)
    assert json.dumps(tracked_metrics(results), allow_nan=False)
    assert Image.open(io.BytesIO(distributions_figure(measures))).width > 100
