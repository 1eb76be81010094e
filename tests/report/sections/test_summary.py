import pandas as pd

from synthpairs.report.sections.summary import comparison, standing


def test_differences_that_would_be_missed_are_named_where_scores_vary():
    row = {"task": "desk_vqa", "value": 0.0, "low": 0.0, "high": 0.0, "n": 8, "better": ""}
    table = pd.DataFrame([row | {"detectable": 0.06}, row | {"task": "desk_pope", "detectable": 0.0}])
    text = comparison("selected", "random", table, ["desk_vqa", "desk_pope"])
    assert text.endswith(
        "on any of 2 benchmarks; true differences of 0.060 on desk_vqa would be shown four times in five; "
        "both have the same mean score for every concept of desk_pope."
    )


def test_a_standing_names_the_benchmarks_that_show_a_difference():
    rows = pd.DataFrame({"task": ["a", "b", "c", "d"], "better": ["selected", "real", "", "selected"]})
    assert standing(rows, "selected") == "better on a and d and worse on b"
    assert standing(rows[2:3], "selected") == "not shown to be better or worse"
