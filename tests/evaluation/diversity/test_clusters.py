import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from synthpairs.evaluation.diversity.clusters import (
    MEASURES,
    entropy,
    gini,
    measure_diversity,
    top_share,
    tracked_metrics,
)
from synthpairs.evaluation.diversity.figure import shares_figure
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.report.sections.diversity import markdown

TOPICS = 8
EVEN, ONE, SKEWED = [1] * TOPICS, [1], [9, 5, 1, 1]


def settings(**changed):
    values = {
        "encoder": "",
        "batch_size": 1,
        "sets": ["reference"],
        "max_captions": None,
        "clusters": [TOPICS],
        "runs": 3,
    }
    return Diversity(**values | {"restarts": 4, "resamples": 300, "seed": 0} | changed)


def captions(shares, count=160):
    """Captions `TOPIC word number` over topics with these relative shares."""
    topics = np.repeat(np.arange(len(shares)), np.asarray(shares) * count // sum(shares))
    texts = [f"{topic} word {number}" for number, topic in enumerate(topics)]
    return pd.DataFrame({"uid": texts, "text": texts})


def embed(texts):
    """Vectors of topics far from each other, those of a topic's captions close together."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(TOPICS, 16))
    vectors = [centres[int(text.split()[0])] + rng.normal(scale=0.01, size=16) for text in texts]
    return np.array(vectors, dtype=np.float32)


def test_measures_are_those_of_the_topics():
    sets = {"even": captions(EVEN), "one": captions(ONE), "skewed": captions(SKEWED)}
    results = measure_diversity(sets, settings(), embed)["sets"]
    for name, shares in {"even": EVEN, "one": ONE, "skewed": SKEWED}.items():
        measured, counts = results[name]["by_clusters"][str(TOPICS)], np.zeros(TOPICS)
        counts[: len(shares)] = shares
        assert measured["shares"] == pytest.approx(counts / counts.sum(), abs=1e-4)
        for measure, function in MEASURES.items():
            numbers = measured[measure]
            assert numbers["mean"] == pytest.approx(function(counts), abs=1e-4)
            assert numbers["spread"] == 0  # all runs find the topics
            assert numbers["low"] <= numbers["mean"] <= numbers["high"]
    assert results["one"]["by_clusters"][str(TOPICS)]["entropy"] == {"mean": 0, "spread": 0, "low": 0, "high": 0}


def test_sets_are_compared_at_the_size_of_the_smallest_or_less():
    sets = {"large": captions(EVEN, 800), "small": captions(EVEN, 80)}
    results = measure_diversity(sets, settings(), embed)
    assert results["captions_per_set"] == 80
    assert {name: one["captions"] for name, one in results["sets"].items()} == {"large": 800, "small": 80}
    assert {name: one["distinct_drawn"] for name, one in results["sets"].items()} == {"large": 80, "small": 80}
    for most, count in ((50, 50), (500, 80)):
        assert measure_diversity(sets, settings(max_captions=most), embed)["captions_per_set"] == count


def test_results_do_not_depend_on_order_or_threads():
    sets = {"even": captions(EVEN), "skewed": captions(SKEWED)}
    params = settings(clusters=[TOPICS, 20])
    first = json.dumps(measure_diversity(sets, params, embed), sort_keys=True)
    with threadpool_limits(4):
        assert json.dumps(measure_diversity(sets, params, embed), sort_keys=True) == first
    shuffled = {name: table.sample(frac=1, random_state=3) for name, table in sets.items()}
    assert json.dumps(measure_diversity(shuffled, params, embed), sort_keys=True) == first
    assert json.dumps(measure_diversity(sets, settings(clusters=[TOPICS, 20], seed=1), embed), sort_keys=True) != first


@pytest.mark.parametrize(
    ("sizes", "asked", "clusters", "short", "left_out"),
    [
        ({"a": 160, "b": 30}, [5, 31], [5], {}, [31]),
        ({"a": 160, "b": 4}, [5, 31], [5, 31], {"b": 4}, []),
        ({"a": 160, "b": 0}, [5], [5], {"b": 0}, []),
        ({"a": 4, "b": 1}, [5, 31], [], {"a": 4, "b": 1}, [5, 31]),
    ],
)
def test_sets_and_k_that_do_not_fit_are_left_out(sizes, asked, clusters, short, left_out):
    same = pd.DataFrame({"uid": list("abc"), "text": ["0 same"] * 3})
    page = markdown(measure_diversity({"same": same}, settings(clusters=[2]), embed))
    assert page == "Too few captions to say: k = 2 (3 captions of each set, 1 different ones in all).\n"
    sets = {name: captions(ONE, count) for name, count in sizes.items()}
    results = measure_diversity(sets, settings(clusters=asked), embed)
    assert results["clusters"] == clusters
    assert results["too_few"] == {"sets": short, "clusters": left_out}
    assert set(results["sets"]) == set(results["order"]) == sizes.keys() - short.keys()
    assert all(list(one["by_clusters"]) == [str(k) for k in clusters] for one in results["sets"].values())
    page = markdown(results)
    assert all(f"{name} (n = {count})" in page for name, count in short.items())
    assert ("Too few captions to say: " in page) == (not clusters)
    if left_out == [31]:
        assert re.search(r"- Left out: k = 31 \(30 captions of each set, \d+ different ones in all\)\.\n", page)
    assert tracked_metrics(results)["clusters"] == max(clusters, default=None)
    assert Image.open(io.BytesIO(shares_figure(results))).width > 100


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"clusters": [5, 5]}, "clusters must be different numbers, at least one"),
        ({"clusters": [11], "max_captions": 10}, r"clusters must be at most diversity\.max_captions \(10\), got 11"),
        ({"sets": []}, "sets must be different names, at least one"),
    ],
)
def test_invalid_params_are_named(changed, error):
    with pytest.raises(ValueError, match=rf"params\.yaml: diversity\.{error}"):
        settings(**changed)


def test_measures_of_equal_clusters_and_of_one_cluster():
    for k in (2, 5, 100):
        even, one = (
            {name: measure(counts) for name, measure in MEASURES.items()}
            for counts in (np.full(k, 7), 7 * np.eye(1, k)[0])
        )
        assert (even["entropy"], even["normalised_entropy"]) == (pytest.approx(np.log(k)), pytest.approx(1))
        assert (even["effective_clusters"], even["gini"]) == (pytest.approx(k), pytest.approx(0))
        assert (one["entropy"], one["normalised_entropy"], one["effective_clusters"]) == (0, 0, 1)
        assert not np.signbit(one["entropy"])
        assert one["gini"] == pytest.approx(1 - 1 / k)
    assert entropy(np.array([1, 1, 2])) == pytest.approx(1.5 * np.log(2)), "in nats"
    assert top_share(np.array([1, 30, 2, 20, 3, 10, 4, 5, 25])) == pytest.approx(90 / 100)
    assert top_share(np.array([3, 1, 0])) == 1


@pytest.mark.parametrize(
    ("counts", "value"), [([1, 2, 3, 4], 0.25), ([0, 0, 0, 4], 0.75), ([1, 1], 0), ([1, 3], 0.25), ([10, 0, 20], 4 / 9)]
)
def test_gini_is_half_the_mean_difference_over_the_mean(counts, value):
    differences = np.abs(np.subtract.outer(counts, counts)).mean()
    assert gini(np.array(counts)) == pytest.approx(value) == pytest.approx(differences / 2 / np.mean(counts))


def test_measures_work_row_by_row_and_ignore_order_and_scale():
    counts = np.random.default_rng(1).integers(1, 50, size=(4, 12))
    for measure in MEASURES.values():
        assert measure(counts) == pytest.approx(np.stack([measure(row) for row in counts]))
        assert measure(counts) == pytest.approx(measure(counts[:, ::-1] * 3))
