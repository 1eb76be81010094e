"""params.yaml is read strictly: whatever is wrong ends as one line that names file, key, value and what is allowed."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from synthpairs.core.config import ParamsError, Within, load_params, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Nested section."""

    name: str
    share: Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Every kind of field that the loader knows."""

    steps: Annotated[int, Within(1)]
    rate: float
    mode: Literal["top", "random"]
    on: bool
    limit: Annotated[float, Within(high=5)] | None
    words: list[str]
    weights: dict[str, Annotated[float, Within(0, 1)]]
    part: Part
    options: dict[str, object] | None


GOOD = """\
other: 1
x:
  steps: 3
  rate: 1e-4
  mode: top
  on: true
  limit: null
  words: [on, no]
  weights: {a: 1, b: 0.5}
  part: {name: n, share: 0}
  options: {a: true, b: x, c: 1.5}
"""


def load(text, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_params(Section, "x", path)


def test_a_good_section_is_read_as_yaml_1_2(tmp_path):
    assert load(GOOD, tmp_path) == Section(
        steps=3, rate=0.0001, mode="top", on=True, limit=None, words=["on", "no"], weights={"a": 1.0, "b": 0.5},
        part=Part(name="n", share=0.0), options={"a": True, "b": "x", "c": 1.5},
    )  # fmt: skip
    assert isinstance(load(GOOD.replace("rate: 1e-4", "rate: 2"), tmp_path).rate, float)
    assert load(GOOD.replace("limit: null", "limit: 4"), tmp_path).limit == 4.0


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (
            "steps: 3",
            "step: 3",
            "x.step is not a known key; known are steps, rate, mode, on, limit, words, weights, part, options",
        ),
        ("steps: 3", "1: 2\n  a: 3", "x.1 is not a known key"),
        ("  steps: 3\n", "", "x.steps is missing"),
        ("steps: 3", "steps: 0", "x.steps must be >= 1, got 0"),
        ("steps: 3", "steps: 3.0", "x.steps must be of type int, got 3.0"),
        ("steps: 3", "steps: true", "x.steps must be of type int, got True"),
        ("steps: 3", "steps:", "x.steps must be of type int, got None"),
        ("rate: 1e-4", "rate: fast", "x.rate must be of type float, got 'fast'"),
        ("mode: top", "mode: best", "x.mode must be one of top, random; got 'best'"),
        ("mode: top", "mode: [top]", "x.mode must be one of top, random; got ['top']"),
        ("on: true", "on: 1", "x.on must be of type bool, got 1"),
        ("limit: null", "limit: 6", "x.limit must be <= 5, got 6"),
        ("limit: null", "limit: .nan", "x.limit must be <= 5, got nan"),
        ("words: [on, no]", "words: on", "x.words must be a list, got 'on'"),
        ("words: [on, no]", "words: [on, 3]", "x.words[1] must be of type str, got 3"),
        ("b: 0.5", "b: 1.5", "x.weights.b must be from 0 to 1, got 1.5"),
        ("weights: {a: 1, b: 0.5}", "weights: 1", "x.weights must be a mapping, got 1"),
        ("share: 0", "share: -0.1", "x.part.share must be from 0 to 1, got -0.1"),
        ("{name: n, share: 0}", "n", "x.part must be a mapping, got 'n'"),
        ("x:", "y:", "section 'x' is missing"),
        ("words: [on", "words: [[on", "not valid YAML: "),
        ("rate: 1e-4", "rate: 1e-4\n  rate: 2", "not valid YAML: "),
        ("mode: top", "mode: \x00", "not valid YAML: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path, good, bad, message):
    assert good in GOOD
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(GOOD.replace(good, bad, 1), tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'params.yaml'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a mapping"),
        (b"- a", "not a mapping"),
        (b"y: 1", "section 'x' is missing"),
        (b"x:\n\ty: 1\n", "not valid YAML: line 2: found character that cannot start any token"),
        (b"a: 1\nx: [1, 2\nb: 3\n", "not valid YAML: line 3: did not find expected ',' or ']', line 2: while parsing"),
        (b"a: 1\nb: 2\na: 3\n", 'not valid YAML: line 3: found duplicate key "a"'),
        (b"a: 1\n---\nb: 2\n", "not valid YAML: line 2: but found another document"),
        (b"a: \xc3\xa9\nx: \x00", "not valid YAML: line 2: control characters are not allowed"),
        (b"a: 1\nx: \xff\xfe", "not UTF-8: line 2: invalid start byte"),
        (b"x: 2001-99-01", "not valid YAML: month must be in 1..12"),
        (b"x: " + b"9" * 5000, "not valid YAML: Exceeds the limit"),
        (b"x: " + b"[" * 5000 + b"]" * 5000, "not valid YAML: maximum recursion depth exceeded"),
        (b"x: &a [*a]", "not valid YAML: Circular reference detected"),
        (b"x: !!bool maybe", "not valid YAML: a value is not what its tag says: 'maybe'"),
        (b"x: !!int ''", "not valid YAML: a value is not what its tag says: string index out of range"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name_and_the_line(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load_params(Section, "x", path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value)) < len(str(path)) + 350
    assert "\n" not in str(error.value)


def test_all_that_is_wrong_in_a_section_is_named(tmp_path):
    bad = GOOD.replace("steps: 3", "step: 3").replace("mode: top", "mode: best").replace("share: 0", "share: 2")
    bad = bad.replace("words: [on, no]", "words: [1, on, 2]").replace("b: 0.5", "b: []")
    with pytest.raises(ParamsError) as error:
        load(bad, tmp_path)
    where = f"{tmp_path / 'params.yaml'}: x"
    assert [message.removeprefix(where) for message in messages(error.value)] == [
        ".step is not a known key; known are steps, rate, mode, on, limit, words, weights, part, options",
        ".steps is missing",
        ".mode must be one of top, random; got 'best'",
        ".words[0] must be of type str, got 1",
        ".words[2] must be of type str, got 2",
        ".weights.b must be of type float, got []",
        ".part.share must be from 0 to 1, got 2",
    ]
    assert str(error.value) == "; ".join(messages(error.value))


def test_a_number_that_no_float_holds_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.rate must be of type float, got 1000"):
        load(GOOD.replace("rate: 1e-4", "rate: 1" + "0" * 400), tmp_path)


def test_a_range_holds_its_ends_and_no_nan():
    both = Within(0, 1)
    assert [both.hold(value) for value in (-0.1, 0, 0.5, 1, 1.1, float("nan"))] == [
        False, True, True, True, False, False,
    ]  # fmt: skip
    assert Within(low=2).hold(float("inf"))
    assert (str(both), str(Within(low=2)), str(Within(high=3))) == ("from 0 to 1", ">= 2", "<= 3")
