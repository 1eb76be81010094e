import math

import pytest

from synthpairs.report.results import read_synthvlm_results
from synthpairs.report.tables import (
    arms_table,
    categories_table,
    interval,
    nested_table,
    number,
    trainings_table,
)


@pytest.fixture
def results(made_project):
    return read_synthvlm_results(("selected", "real"), made_project)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.12345, "0.123"), (1234, "1,234"), (0, "0"), (None, "-"), (math.nan, "-"), (-0.5, "-0.500")]
)
def test_numbers(value, shown):
    assert number(value) == shown


def test_intervals():
    assert interval(0.1, 0.2) == " [0.100, 0.200]"
    assert interval(-0.1, 0.2, signed=True) == " [-0.100, +0.200]"
    assert interval(math.nan, math.nan) == ""


def test_arms_table_has_blind_and_untrained(results):
    lines = arms_table(results).splitlines()
    assert lines[0] == "| task | measure | n | selected | real | untrained |"
    assert len({line.count(" | ") for line in lines[2:]}) == 1
    measures = ["accuracy", "without the image"]  # desk_text has no image
    assert [line.split(" | ")[1] for line in lines[2:]] == [*measures, "best fixed answer", "accuracy", *measures]


def test_categories_and_trainings_have_all_arms(results):
    assert categories_table(results).count("| desk_vqa |") == 2
    assert "| pretrain | loss\\_last | 1.250 | 1.250 |" in trainings_table(results)
    assert "note" not in trainings_table(results)


def test_nested_numbers_become_rows():
    table = nested_table({"b": {"x": 1}, "a": {"c": {"y": 0.5, "flag": True}}}, "what")
    assert table.splitlines()[0] == "| what | y | x |"
    assert table.splitlines()[2:] == ["| a c | 0.500 | - |", "| b | - | 1 |"]
