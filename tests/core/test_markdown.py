from synthpairs.core.markdown import markdown_table


def test_a_table_has_as_many_cells_in_every_line_and_numbers_to_the_right():
    lines = markdown_table(["a", "b", "c"], [[1, "x", 2], ["3", "y", 4]], words=[1]).splitlines()
    assert lines == ["| a | b | c |", "| ---: | --- | ---: |", "| 1 | x | 2 |", "| 3 | y | 4 |"]


def test_without_more_ado_nothing_is_aligned_and_any_iterable_is_a_table():
    assert markdown_table(("what", "value"), {"n": 1}.items()) == "| what | value |\n| --- | --- |\n| n | 1 |"
