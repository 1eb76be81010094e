"""What is said of answers under several seeds, and what must not be said."""

import numpy as np
import pytest

from synthpairs.repeats.page import answers, repeats_page
from synthpairs.repeats.params import LOSS
from synthpairs.repeats.results import repeat_results, side
from tests.repeats.conftest import ARMS, made_up_repeats


def lines(**told):
    return answers(repeat_results(made_up_repeats(**told), ARMS)).splitlines()


def test_without_a_difference_none_is_told():
    arms, language, judges = lines()
    assert "`real`: no difference shown" in arms
    assert language.startswith("- *Is language kept?* Against `llm`: `untrained`: no difference shown; ")
    assert "better" not in arms + language
    assert "`selected` no preference shown" in judges


def test_a_difference_is_told_with_its_direction():
    arms, language, judges = lines(better=(0.5, 0.5, 0.5), lost=(0.2, 0.21, 0.19), rate=(0.9, 0.85, 0.9))
    assert "`real` is better on desk_vqa (+0." in arms
    assert "`real` has 1.221 [" in language
    assert "`selected`: no difference shown" in language
    assert judges.count("prefers the synthetic pictures") == 2


def test_a_seed_that_disagrees_silences_a_difference():
    arms, language, judges = lines(better=(0.5, 0.5, -0.2), lost=(0.3, 0.3, -0.01), rate=(0.9, 0.9, 0.4))
    assert "no difference shown" in arms
    assert "has" not in language.split("`real`")[1]
    assert "prefers" not in judges


def test_a_judge_that_guesses_at_the_control_is_not_believed():
    assert lines(rate=(0.1, 0.1, 0.1), right=0.5)[2].endswith("No judge can tell under every seed, so nothing follows.")


def test_perplexity_is_the_exponential_of_the_mean_loss():
    results = repeat_results(made_up_repeats(), ARMS)
    loss = results["language"]["tasks"][LOSS]["sets"]["llm"]["value"]
    assert f"| `llm` | **{np.exp(loss):.2f}** [" in repeats_page(results)


@pytest.mark.parametrize(
    ("low", "high", "seeds", "expected"),
    [
        (0.52, 0.7, [0.6, 0.7], 1),
        (0.52, 0.7, [0.5, 0.7], 0),
        (0.5, 0.7, [0.6, 0.7], 0),
        (0.3, 0.49, [0.4, 0.3], -1),
        (0.3, 0.51, [0.4, 0.3], 0),
    ],
)
def test_a_side_needs_the_interval_and_every_seed(low, high, seeds, expected):
    assert side({"low": low, "high": high, "seeds": seeds}) == expected
