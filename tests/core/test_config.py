"""All errors in params.yaml come as one line with file, key, value and what is allowed."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from synthpairs.core.config import ParamsError, Within, convert, load_params, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Nested section."""

    name: str
    share: Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All kinds of fields that the loader supports."""

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


@pytest.fixture
def load(tmp_path):
    def written(content):
        (tmp_path / "params.yaml").write_bytes(content)
        return load_params(Section, "x", tmp_path / "params.yaml")

    return written


def test_a_good_section_is_read_as_yaml_1_2(load):
    assert load(GOOD.encode()) == Section(
        steps=3, rate=0.0001, mode="top", on=True, limit=None, words=["on", "no"], weights={"a": 1.0, "b": 0.5},
        part=Part(name="n", share=0.0), options={"a": True, "b": "x", "c": 1.5},
    )  # fmt: skip
    other = load(GOOD.replace("rate: 1e-4", "rate: 2").replace("limit: null", "limit: 4").encode())
    assert (repr(other.rate), other.limit) == ("2.0", 4.0)


SYNTAX = "not valid YAML: "
BROKEN = [
    ("step: 3", "steps: 3", "x.step is not a known key; known are steps, rate, mode, on, "),
    ("1: 2\n  a: 3", "steps: 3", "x.1 is not a known key"),
    ("", "  steps: 3\n", "x.steps is missing"),
    ("steps: 0", "steps: 3", "x.steps must be >= 1, got 0"),
    ("steps: 1" + "0" * 19, "steps: 3", "x.steps must fit into 64 bits, got 1000"),
    ("steps: 3.0", "steps: 3", "x.steps must be of type int, got 3.0"),
    ("steps: true", "steps: 3", "x.steps must be of type int, got True"),
    ("steps:", "steps: 3", "x.steps must be of type int, got None"),
    ("rate: fast", "rate: 1e-4", "x.rate must be of type float, got 'fast'"),
    ("rate: 1" + "0" * 400, "rate: 1e-4", "x.rate must be of type float, got 1000"),
    ("mode: best", "mode: top", "x.mode must be one of top, random; got 'best'"),
    ("mode: [top]", "mode: top", "x.mode must be one of top, random; got ['top']"),
    ("on: 1", "on: true", "x.on must be of type bool, got 1"),
    ("limit: 6", "limit: null", "x.limit must be <= 5, got 6"),
    ("limit: .nan", "limit: null", "x.limit must be a finite number, got nan"),
    ("limit: -.inf", "limit: null", "x.limit must be a finite number, got -inf"),
    ("words: on", "words: [on, no]", "x.words must be a list, got 'on'"),
    ("words: [on, 3]", "words: [on, no]", "x.words[1] must be of type str, got 3"),
    ("b: 1.5", "b: 0.5", "x.weights.b must be from 0 to 1, got 1.5"),
    ("weights: 1", "weights: {a: 1, b: 0.5}", "x.weights must be a mapping, got 1"),
    ("share: -0.1", "share: 0", "x.part.share must be from 0 to 1, got -0.1"),
    ("n", "{name: n, share: 0}", "x.part must be a mapping, got 'n'"),
    (b"", None, "not a mapping"),
    (b"- a", None, "not a mapping"),
    (b"y: 1", None, "section 'x' is missing"),
    (b"x:\n\ty: 1\n", None, f"{SYNTAX}line 2: "),
    (b"a: 1\nx: [1, 2\nb: 3\n", None, f"{SYNTAX}line 3: did not find expected ',' or ']', line 2: while parsing"),
    (b"a: 1\nb: 2\na: 3\n", None, f'{SYNTAX}line 3: found duplicate key "a"'),
    (b"a: 1\n---\nb: 2\n", None, f"{SYNTAX}line 2: but found another document"),
    (b"a: \xc3\xa9\nx: \x00", None, f"{SYNTAX}line 2: control characters are not allowed"),
    (b"a: 1\nx: \xff\xfe", None, "not UTF-8: line 2: "),
    (b"x: 2001-99-01", None, f"{SYNTAX}month must be in 1..12"),
    (b"x: " + b"9" * 5000, None, f"{SYNTAX}Exceeds the limit"),
    (b"x: " + b"[" * 5000 + b"]" * 5000, None, f"{SYNTAX}maximum recursion depth"),
    (b"x: &a [*a]", None, f"{SYNTAX}Circular reference"),
    (b"x: !!bool maybe", None, f"{SYNTAX}a value is not what its tag says: 'maybe'"),
    (b"x: !!int ''", None, f"{SYNTAX}a value is not what its tag says"),
]


@pytest.mark.parametrize(("bad", "good", "message"), BROKEN)
def test_an_error_is_one_line(load, tmp_path, bad, good, message):
    assert good is None or good in GOOD
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load(bad if good is None else GOOD.replace(good, bad, 1).encode())
    assert str(error.value).startswith(f"{tmp_path / 'params.yaml'}: {message}")
    assert len(str(error.value)) < len(str(tmp_path)) + 800
    assert "\n" not in str(error.value)


def test_all_errors_of_a_section_are_named(load):
    bad = GOOD.replace("steps: 3", "step: 3").replace("mode: top", "mode: best").replace("share: 0", "share: 2")
    bad = bad.replace("words: [on, no]", "words: [1, on, 2]").replace("b: 0.5", "b: []")
    with pytest.raises(ParamsError) as error:
        load(bad.encode())
    keys = [message.partition(": x.")[2].split()[0] for message in messages(error.value)]
    assert keys == ["step", "steps", "mode", "words[0]", "words[2]", "weights.b", "part.share"]
    assert str(error.value) == "; ".join(messages(error.value))


def test_a_range_contains_its_ends_and_no_nan():
    both = Within(0, 1)
    assert [value for value in (-0.1, 0, 0.5, 1, 1.1, float("nan")) if both.contains(value)] == [0, 0.5, 1]
    assert Within(low=2).contains(float("inf"))
    assert (str(both), str(Within(low=2)), str(Within(high=3))) == ("from 0 to 1", ">= 2", "<= 3")


@dataclass(frozen=True)
class _Batches:
    whole: int
    part: int

    def __post_init__(self):
        if self.whole % self.part:
            raise ValueError("whole must be a multiple of part")


def test_a_check_of_several_keys_names_its_section():
    assert convert(_Batches, {"whole": 4, "part": 2}, "params.yaml: x") == _Batches(4, 2)
    with pytest.raises(ValueError, match=r"^params.yaml: x.whole must be a multiple of part$"):
        convert(_Batches, {"whole": 4, "part": 3}, "params.yaml: x")
