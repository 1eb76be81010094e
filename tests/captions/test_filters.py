"""What each text filter lets pass, and what it says about what it does not."""

from collections.abc import Callable

import pytest

from synthpairs.captions.filters import TEXT_FILTERS
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption


def ask(name: str, text: str, limits: Limits) -> tuple[str | None, dict[str, float]]:
    caption = Caption(text=text, source="extra", concept="")
    return TEXT_FILTERS[name](caption, limits), caption.measures


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("dog " * 25_000, "100000 characters > 300"),
        ("a\x00dog", "control character U+0000"),
        ("a\x1b[31m dog", "control character U+001B"),
        ("a \ufffd dog", "not UTF-8"),
        ("a <b>dog</b>", "HTML: <b>"),
        ('<a href="/x">a dog', "HTML"),
        ("a dog &raquo; more", "HTML: &raquo;"),
        ("a dog<!-- ad", "HTML"),
    ],
)
def test_unusable(text: str, says: str, limits: Callable[..., Limits]) -> None:
    detail, _ = ask("unusable", text, limits())
    assert detail is not None
    assert says in detail


@pytest.mark.parametrize(
    "text", ["a dog\non two lines", "2 < 3 dogs > 1", "salt & pepper; red", "un caf\u00e9 \U0001f600"]
)
def test_usable(text: str, limits: Callable[..., Limits]) -> None:
    assert ask("unusable", text, limits())[0] is None


@pytest.mark.parametrize(
    ("name", "limit", "text", "measure", "value", "passing"),
    [
        ("alnum", {"alnum_min": 0.71}, "a red dog!", "alnum_ratio", 0.7, 0.7),
        ("special", {"special_max": 0.29}, "a red dog!", "special_ratio", 0.3, 0.3),
        ("special", {"special_min": 0.31}, "a red dog!", "special_ratio", 0.3, 0.3),
        ("char_repetition", {"char_ngram": 2, "char_repetition_max": 0.5}, "ababab", "char_repetition", 0.6, 0.6),
        ("word_repetition", {"word_repetition_max": 0.9}, "dog cat dog cat dog", "word_repetition", 1.0, 1.0),
        ("flagged", {"flagged_max": 0.0}, "xxx dog", "flagged_ratio", 0.5, 0.5),
        ("words", {"words_min": 3}, "a dog", "words", 2, 2),
        ("words", {"words_max": 4}, "a dog on a mat", "words", 5, 5),
    ],
)
def test_limits_are_inclusive_and_measures_are_kept(
    name: str, limit: dict, text: str, measure: str, value: float, passing: float, limits: Callable[..., Limits]
) -> None:
    detail, measured = ask(name, text, limits(**limit))
    assert detail is not None
    assert detail.startswith(f"{value:g} ")
    assert measured == {measure: pytest.approx(value)}
    changed = next(key for key in limit if key.endswith(("_min", "_max")))
    assert ask(name, text, limits(**limit | {changed: passing}))[0] is None
