"""Tables, and foreign text in them."""

import re

import pytest

from synthpairs.core.markdown import code, literal, markdown_table


def test_numbers_are_right_aligned():
    lines = markdown_table(["a", "b", "c"], [[1, "x", 2], ["3", "y", 4]], words=[1]).splitlines()
    assert lines == ["| a | b | c |", "| ---: | --- | ---: |", "| 1 | x | 2 |", "| 3 | y | 4 |"]


def test_by_default_nothing_is_aligned_and_rows_may_be_any_iterable():
    assert markdown_table(("what", "value"), {"n": 1}.items()) == "| what | value |\n| --- | --- |\n| n | 1 |"


def test_nothing_in_a_cell_ends_it():
    cells = ["BBC | News\n# Title", "a \\| b", "a \\\\| b", "\r\n|", literal("x | y \\| z\n")]
    lines = markdown_table([cells[0], "b"], [[cell, "b"] for cell in cells]).splitlines()
    assert len(lines) == 2 + len(cells)
    assert [len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines] == [4] * len(lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a_b | <b>", "`a_b | <b>`"), ("a ` b", "a \\` b"), ("a\n# b", "a \\# b"), (" ", "(nothing)"), ("", "(nothing)")],
)
def test_code_does_not_end_within(text, shown):
    assert code(text) == shown


def test_literal_text_has_no_markup():
    shown = literal("<b>x</b> | `y` [z](http://www.a.b) **c** _d_ &amp; $e$ @f #g")
    assert not re.search(r"[\\`*_\[\]<>|&$@#:]|www\.", re.sub(r"\\.", "", shown))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\u202ec", "a\\<U+0000\\>b\\<U+202E\\>c"),
        ("a\nb\tc  ", "a b c"),
        ("", "(nothing)"),
        ("   ", "(nothing)"),
        ("x" * 100_000, "x" * 80 + " ... (100,000 characters)"),
    ],
)
def test_literal_text_is_one_line_and_marks_cuts(text, shown):
    assert literal(text) == shown
