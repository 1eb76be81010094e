"""Pages of results: shown and unshown differences, and that the pages in git match the results in git."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from synthpairs.core.config import load_params
from synthpairs.evaluation.distributions.figure import LABELS
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.results import LOSS, seed_results
from synthpairs.report.experiments import noise_seeds as noise_seeds_page
from synthpairs.report.experiments import seeds as seeds_page
from synthpairs.report.experiments import strategies as strategies_page
from synthpairs.report.experiments.learning_curves import learning_curves_page
from synthpairs.report.experiments.speed import speed_page
from tests.evaluation.distributions.conftest import chosen, results, table  # noqa: F401
from tests.experiments.conftest import ARMS, made_up_answers

REPORTS = Path(__file__).parents[3] / "reports/experiments"


def page_answers(**made_up):
    return seeds_page.answers(seed_results(made_up_answers(**made_up), ["llm", "untrained"], ARMS)).splitlines()


def test_without_a_difference_none_is_shown():
    arms, language, judges = page_answers()
    assert "`real`: no difference shown" in arms
    assert language.startswith("- *Is language kept?* Against `llm`: `untrained`: no difference shown; ")
    assert "better" not in arms + language
    assert "`selected` no preference shown" in judges


def test_a_difference_is_shown_with_its_direction():
    arms, language, judges = page_answers(better=(0.5, 0.5, 0.5), lost=(0.2, 0.21, 0.19), rate=(0.9, 0.85, 0.9))
    assert "`real` is better on desk_vqa (+0." in arms
    assert "`real` has 1.221 [" in language
    assert "`selected`: no difference shown" in language
    assert judges.count("prefers the synthetic images") == 2


def test_a_difference_that_one_seed_contradicts_is_not_shown():
    arms, language, judges = page_answers(better=(0.5, 0.5, -0.2), lost=(0.3, 0.3, -0.01), rate=(0.9, 0.9, 0.4))
    assert "no difference shown" in arms
    assert "has" not in language.split("`real`")[1]
    assert "prefers" not in judges


def test_a_judge_that_fails_the_control_is_ignored():
    judges = page_answers(rate=(0.1, 0.1, 0.1), right=0.5)[2]
    assert judges.endswith("No judge passes the control under every seed, so there is no result.")


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
    assert seeds_page.side({"low": low, "high": high, "seeds": seeds}) == expected


def test_differences_need_all_noise_seeds(results):  # noqa: F811
    assert results["coupled"]["ssim"]["shown"]
    more, correlated = noise_seeds_page.answers([results] * 3).splitlines()
    assert f"In all 3 noise seeds higher: {LABELS['ssim']}; not the same in all, or no difference shown: " in more
    assert LABELS["clutter"] in correlated.split("negative: ")[1]
    other, unsure = copy.deepcopy(results), copy.deepcopy(results)
    other["coupled"]["ssim"]["value"] *= -1
    unsure["coupled"]["ssim"]["shown"] = False
    for row in other["preferences"]["ssim"]["correlations"].values():
        row["low"], row["high"] = -0.1, 0.1
    for one in (other, unsure):
        assert f"higher: {LABELS['ssim']}" not in noise_seeds_page.answers([results, one])
    assert noise_seeds_page.answers([results, other]).endswith("by intervals without 0, nothing.")


def test_missing_measures_have_a_dash(results):  # noqa: F811
    bare = results | {"coupled": {}}
    for row in bare["preferences"]["ssim"]["correlations"].values():
        row |= dict.fromkeys(row)
    page = noise_seeds_page.noise_seeds_page([bare, bare])
    assert "no caption has both images" in page
    assert "| - | - |" in page


def test_the_pages_in_git_match_the_results_in_git():
    """Of long pages rows as sets, for JSON in git has its keys sorted; of others all, but for the commit that `speed` names."""
    names = ("strategies", "seeds", "noise_seeds", "learning_curves", "speed")
    strategies, seeds, noise_seeds, curves, speed = (
        json.loads((REPORTS / f"{name}.json").read_text()) for name in names
    )
    params = load_params(Experiments, "experiments").strategies
    pages = {
        "strategies": strategies_page.strategies_page(strategies["studies"], params, 3.0),
        "seeds": seeds_page.seeds_page(seeds),
        "noise_seeds": noise_seeds_page.noise_seeds_page(noise_seeds["paintings"]),
        "learning_curves": learning_curves_page(curves),
        "speed": speed_page(speed),
    }
    for name, page in pages.items():
        in_git = (REPORTS / f"{name}.md").read_text()
        rows, known = ({line for line in text.splitlines() if line[:1] in "|!#"} for text in (page, in_git))
        assert len(rows) > 4
        assert rows == known, name
    assert (REPORTS / "learning_curves.md").read_text() == pages["learning_curves"]
    in_git = (REPORTS / "speed.md").read_text()
    note = next(line for line in in_git.splitlines() if line.startswith("*Results of commit "))
    assert in_git.replace(f"{note}\n\n", "") == pages["speed"]
    loss = seeds["language"]["tasks"][LOSS]["sets"]["llm"]["value"]
    assert f"| `llm` | **{np.exp(loss):.2f}** [" in pages["seeds"]
    assert "| the pairs | concepts |  | 53 |" in pages["strategies"]
