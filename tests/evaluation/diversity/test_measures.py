import numpy as np
import pytest

from synthpairs.evaluation.diversity.measures import MEASURES, entropy, gini, top_share


def test_equal_clusters_have_entropy_ln_k_and_one_cluster_none():
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
