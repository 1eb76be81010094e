"""What is said of several paintings: only what each of them shows."""

import copy

from synthpairs.distributions.figure import LABELS
from synthpairs.repaints.page import answers, repaints_page
from tests.distributions.conftest import chosen, results, table  # noqa: F401


def test_what_every_painting_shows_is_said(results):  # noqa: F811
    more, goes = answers([results] * 3).splitlines()
    assert results["coupled"]["ssim"]["shown"]
    assert f"In each of 3 paintings more: {LABELS['ssim']}; not the same in all, or no difference shown: " in more
    assert LABELS["clutter"] in goes.split("less: ")[1]


def test_one_painting_that_says_otherwise_silences_it(results):  # noqa: F811
    other = copy.deepcopy(results)
    other["coupled"]["ssim"]["value"] *= -1
    for row in other["preferences"]["ssim"]["correlations"].values():
        row["low"], row["high"] = -0.1, 0.1
    more, goes = answers([results, other]).splitlines()
    assert f"more: {LABELS['ssim']}" not in more
    assert goes.endswith("in each nothing.")
    unsure = copy.deepcopy(results)
    unsure["coupled"]["ssim"]["shown"] = False
    assert f"more: {LABELS['ssim']}" not in answers([results, unsure])


def test_what_could_not_be_measured_has_a_dash(results):  # noqa: F811
    bare = copy.deepcopy(results)
    bare["coupled"] = {}
    for row in bare["preferences"]["ssim"]["correlations"].values():
        row |= dict.fromkeys(row)
    page = repaints_page([bare, bare])
    assert "no caption has both pictures" in page
    assert "| - | - |" in page


def test_the_page_holds_each_painting_s_numbers(results):  # noqa: F811
    page = repaints_page([results] * 2)
    value = results["coupled"]["ssim"]["value"]
    assert f"{value:+.3g}, {value:+.3g}" in page
    assert "painting 1" in page
    assert "painting 2" not in page
