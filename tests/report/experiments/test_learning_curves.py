from copy import deepcopy

import pandas as pd
import pytest

from synthpairs.experiments.results import compare
from synthpairs.report.experiments.learning_curves import NOT_SHOWN, learning_curves_page, steps_to_baseline
from synthpairs.report.experiments.tables import RULE
from synthpairs.report.sections.claims import HOLDS


def compared(*sets):
    """Results of `compare` of sets as (name, score of all items) under two seeds."""
    answers = [
        {"set": name, "seed": seed, "task": "desk_caption", "uid": str(item), "concept": str(item), "score": score + item % 3}
        for name, score in sets for seed in (0, 1) for item in range(30)
    ]  # fmt: skip
    return compare([name for name, _ in sets], ["desk_caption"], pd.DataFrame(answers))


CURVES = {
    "measure": "cider_d", "task": "desk_caption", "n": 120, "seeds": [0, 1, 2], "steps": [100, 200, 300],
    "arms": {"real-tokens": [[0.2, 0.5, 0.9], [0.3, 0.6, 1.0], [0.1, 0.4, 0.8]],
             "genpair": [[0.9, 1.0, 1.1], [0.8, 1.0, 1.2], [1.0, 1.1, 1.2]]},
    "reached": {"step": 100, "baseline": 0.9}, "controls": None, "final": compared(("real-tokens", 2.0), ("genpair", 3.0)),
}  # fmt: skip
NEVER = [[0.1, 0.1, 0.1]] * 3


def test_each_seed_has_its_own_step_or_never_gets_there():
    steps = steps_to_baseline(CURVES)
    assert (steps.mixed, steps.mixed_by_seed, steps.real, steps.last) == (100, (100, 200, 100), 300, 300)
    assert steps.text().endswith("0.900, at step 100 of 300 (33%); each seed by itself: step 100, step 200, step 100.")
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"][1], curves["reached"]["step"] = [0.1, 0.1, 0.1], None
    assert (
        steps_to_baseline(curves)
        .text()
        .endswith("0.900, up to the last step, 300; each seed by itself: step 100, never, step 100.")
    )
    curves["arms"]["real-tokens"] = [[0.2, 1.0, 0.9]] * 3
    assert steps_to_baseline(curves).text().endswith("; `real-tokens` itself: step 200.")


@pytest.mark.parametrize(
    ("step", "genpair", "verdict"),
    [
        (100, CURVES["arms"]["genpair"], HOLDS),
        (200, [*CURVES["arms"]["genpair"][:2], NEVER[0]], NOT_SHOWN),
        (None, NEVER, NOT_SHOWN),
        (300, [[0.1, 0.1, 0.9]] * 3, NOT_SHOWN),
    ],
)
def test_fewer_steps_holds_if_every_seed_is_faster_than_the_baseline(step, genpair, verdict):
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"], curves["reached"]["step"] = genpair, step
    assert f"**Fewer steps to the level of real pairs: {verdict}.**" in learning_curves_page(curves)


def test_curves_show_every_seed_and_their_mean():
    page = learning_curves_page(CURVES)
    assert "(learning_curves.png)" in page
    assert (
        "| `real-tokens` | 0.900 [0.800, 1.000] | 0.900 | 1.000 | 0.800 |\n"
        "| `genpair` | 1.167 [1.100, 1.200] | 1.100 | 1.200 | 1.200 |\n"
    ) in page
    assert "Both still rise at the last of 3 points." in page
    assert "Both still rise" not in learning_curves_page(CURVES | {"arms": CURVES["arms"] | {"genpair": NEVER}})


def test_the_arms_are_compared_at_the_last_step_by_a_rule_that_the_page_states():
    page = learning_curves_page(CURVES)
    assert RULE in page
    assert "| desk_caption | genpair - real-tokens | +1.000 [" in page


def test_control_sets_have_a_section_of_their_own():
    assert "## Why" not in learning_curves_page(CURVES)
    page = learning_curves_page(CURVES | {"controls": compared(("few-real", 2.0), ("regenerated", 1.0))})
    assert "**Against `few-real`: `regenerated` is worse on desk_caption (-1.000" in page
