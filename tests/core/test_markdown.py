from synthpairs.core.markdown import markdown_table


def test_numbers_are_right_aligned():
    lines = markdown_table(["a", "b", "c"], [[1, "x", 2], ["3", "y", 4]], words=[1]).splitlines()
    assert lines == ["| a | b | c |", "| ---: | --- | ---: |", "| 1 | x | 2 |", "| 3 | y | 4 |"]


def test_by_default_nothing_is_aligned_and_rows_may_be_any_iterable():
    assert markdown_table(("what", "value"), {"n": 1}.items()) == "| what | value |\n| --- | --- |\n| n | 1 |"
