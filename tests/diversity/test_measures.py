import numpy as np
import pytest
from scipy import stats

from synthpairs.diversity.measures import MEASURES, effective_clusters, entropy, gini, normalised_entropy, top_share


def test_equal_clusters_have_entropy_ln_k_and_one_cluster_none():
    for k in (2, 5, 100):
        even, one = np.full(k, 7), 7 * np.eye(1, k)[0]
        assert entropy(even) == pytest.approx(np.log(k))
        assert normalised_entropy(even) == pytest.approx(1)
        assert effective_clusters(even) == pytest.approx(k)
        assert gini(even) == pytest.approx(0)
        assert (entropy(one), normalised_entropy(one), effective_clusters(one)) == (0, 0, 1)
        assert not np.signbit(entropy(one))
        assert gini(one) == pytest.approx(1 - 1 / k)


def test_entropy_is_that_of_scipy():
    counts = np.random.default_rng(0).integers(0, 9, size=(3, 20, 30))
    assert entropy(counts) == pytest.approx(stats.entropy(counts, axis=-1))


def test_the_paper_s_entropy_is_45_effective_clusters_in_nats():
    assert np.exp(3.81) == pytest.approx(45, abs=0.2)
    assert np.exp2(3.81) == pytest.approx(14, abs=0.1)


@pytest.mark.parametrize(
    ("counts", "value"), [([1, 2, 3, 4], 0.25), ([0, 0, 0, 4], 0.75), ([1, 1], 0), ([1, 3], 0.25), ([10, 0, 20], 4 / 9)]
)
def test_gini_of_known_vectors_is_half_the_mean_difference_over_the_mean(counts, value):
    differences = np.abs(np.subtract.outer(counts, counts)).mean()
    assert gini(np.array(counts)) == pytest.approx(value)
    assert gini(np.array(counts)) == pytest.approx(differences / 2 / np.mean(counts))


def test_top_share_counts_the_five_largest_wherever_they_are():
    assert top_share(np.array([1, 30, 2, 20, 3, 10, 4, 5, 25])) == pytest.approx(90 / 100)
    assert top_share(np.array([3, 1, 0])) == 1


def test_measures_work_row_by_row_and_ignore_order_and_scale():
    counts = np.random.default_rng(1).integers(1, 50, size=(4, 12))
    for measure in MEASURES.values():
        assert measure(counts) == pytest.approx(np.stack([measure(row) for row in counts]))
        assert measure(counts[:, ::-1] * 3) == pytest.approx(measure(counts))
