import math

import pytest

from synthpairs.evaluation.preference.measures import by_cluster, preferred_side, win_rate


def test_ties_count_half_and_not_in_the_sign_test():
    scores = [1.0] * 8 + [0.5] * 5 + [0.0]
    result = win_rate(scores, [str(index) for index in range(14)], 500, 0)
    assert (result["n"], result["wins"], result["ties"], result["losses"]) == (14, 8, 5, 1)
    assert result["rate"] == pytest.approx(10.5 / 14, abs=1e-4)
    tail = sum(math.comb(9, k) for k in (0, 1)) / 2**9  # at most one loss of nine
    assert result["p"] == pytest.approx(2 * tail, abs=1e-4)
    assert result["low"] < result["rate"] < result["high"]
    result = win_rate([0.5] * 6, list("abcdef"), 200, 0)
    assert (result["rate"], result["p"], preferred_side(result)) == (0.5, 1.0, None), "ties alone show no preference"
    empty = dict.fromkeys(("n", "wins", "ties", "losses"), 0) | dict.fromkeys(("rate", "low", "high", "p"))
    assert win_rate([], [], 200, 0) == empty


def test_intervals_resample_concepts():
    scores = [1.0] * 20 + [0.0] * 20
    alone = win_rate(scores, [str(index) for index in range(40)], 500, 0)
    clusters = [letter for letter in "abcd" for _ in range(10)]
    together = win_rate(scores, clusters, 500, 0)
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])
    assert together == win_rate(scores, clusters, 500, 0)
    result = by_cluster([1.0, 0.5, 0.0, 1.0], ["dog", "cat", "dog", "dog"])
    assert result == {"cat": {"wins": 0, "ties": 1, "losses": 0}, "dog": {"wins": 2, "ties": 0, "losses": 1}}


@pytest.mark.parametrize(
    ("numbers", "side"),
    [
        ({"rate": 0.7, "low": 0.6, "high": 0.8, "p": 0.01}, "synthetic"),
        ({"rate": 0.3, "low": 0.2, "high": 0.4, "p": 0.01}, "real"),
        ({"rate": 0.7, "low": 0.6, "high": 0.8, "p": 0.06}, None),
        ({"rate": 0.6, "low": 0.45, "high": 0.8, "p": 0.01}, None),
    ],
)
def test_a_preference_is_shown_if_interval_and_sign_test_agree(numbers, side):
    assert preferred_side(numbers) == side
