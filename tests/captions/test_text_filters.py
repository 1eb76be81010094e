"""Text filters: what they reject, with which reason and detail."""

import pytest

from synthpairs.captions.measures import Texts
from synthpairs.captions.text_filters import TEXT_FILTERS, apply_rules, unusable

UNUSABLE = {
    "": "empty", " \n\t ": "empty", "dog " * 25_000: "100000 characters > 300", "a\x00dog": "control character U+0000",
    "a\x1b[31m dog": "control character U+001B", "a \ufffd dog": "not UTF-8", "a <b>dog</b>": "HTML: <b>",
    "a dog&#x27;s bowl": "HTML: &#x27;", "a dog&#39s bowl": "HTML: &#39", "a &frac12; cake": "HTML: &frac12;",
    "a dog&nbsp on a mat": "HTML: &nbsp", "AT&amp T": "HTML: &amp", "an <a href=x dog": "HTML: <a href=x dog", "a dog</p": "HTML",
    "a <person> and <B>": "HTML: <person>", "<PERSON> on a <b": "HTML: <b", "<!doctype html": "HTML",
    "a dog <|im_end|>": "control token <|im_end|>", "a dog \uff1c\uff5cend\u2581of_text\uff5c\uff1e": "control token",
    '<a href="/x">a dog': "HTML", "a dog &raquo; more": "HTML: &raquo;", "a dog<!-- ad": "HTML",
}  # fmt: skip


@pytest.mark.parametrize(("text", "detail"), UNUSABLE.items(), ids=range(len(UNUSABLE)))
def test_unusable(text, detail, limits):
    assert detail in unusable(text, limits())


@pytest.mark.parametrize(
    "text",
    [
        "a dog\non two lines",
        "2 < 3 dogs > 1",
        "salt & pepper; red",
        "a < b & c",
        "R&B at AT&T",
        "I <3 dogs",
        "<PERSON> with a dog, as CC12M calls <PERSON>",
        "a <| b |> c < d | e |>",
        "un caf\u00e9 \U0001f600",
    ],
)
def test_usable(text, limits):
    assert unusable(text, limits()) is None


@pytest.mark.parametrize(
    ("name", "key", "limit", "text", "measure", "value"),
    [
        ("alnum", "alnum_min", 0.71, "a red dog!", "alnum_ratio", 0.7),
        ("special", "special_max", 0.29, "a red dog!", "special_ratio", 0.3),
        ("special", "special_min", 0.31, "a red dog!", "special_ratio", 0.3),
        ("char_repetition", "char_repetition_max", 0.5, "ababab", "char_repetition", 0.6),
        ("word_repetition", "word_repetition_max", 0.9, "dog cat dog cat dog", "word_repetition", 1.0),
        ("flagged", "flagged_max", 0.0, "xxx dog", "flagged_ratio", 0.5),
        ("words", "words_min", 3, "a dog", "words", 2),
        ("words", "words_max", 4, "a dog on a mat", "words", 5),
    ],
)
def test_limits_are_inclusive_and_measures_are_stored(name, key, limit, text, measure, value, limits):
    result = TEXT_FILTERS[name](Texts([text]), limits(char_ngram=2, **{key: limit}))
    assert result.wrong[0].startswith(f"{value:g} ")
    assert (result.measure, result.values) == (measure, [pytest.approx(value)])
    assert not TEXT_FILTERS[name](Texts([text]), limits(char_ngram=2, **{key: value})).wrong


def test_the_first_filter_to_reject_gives_the_reason_and_measures_of_later_ones_are_missing(limits, monkeypatch):
    texts = ["a red dog", "", "$$$ $$$ $$$", "xxx dog", "xxx", "a <b>dog</b>"]
    strict = limits(alnum_min=0.5, flagged_max=0.0, words_min=2)
    results = apply_rules(texts, strict)
    assert [result.reason for result in results] == [None, "unusable", "alnum", "flagged", "flagged", "unusable"]
    assert [result.detail for result in results[1:4]] == ["empty", "0 < 0.5", "0.5 > 0.0"]
    measures = ["alnum_ratio", "special_ratio", "char_repetition", "word_repetition", "flagged_ratio", "words"]
    lists = [list(result.measures) for result in results]
    assert lists == [measures, [], measures[:1], measures[:5], measures[:5], []]
    assert isinstance(results[0].measures["words"], int)
    assert apply_rules([], strict) == []
    monkeypatch.setattr("synthpairs.captions.text_filters.BATCH", 2)
    assert apply_rules(texts, strict) == results
