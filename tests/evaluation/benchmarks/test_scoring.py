import pytest

from synthpairs.evaluation.benchmarks.scoring import (
    load_table,
    named_option,
    normalised,
    option,
    short_answer,
    yes_or_no,
)

KINDS = ["object", "food or drink", "animal or plant", "place or vehicle"]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"desk_vqa\.parquet is missing: run `dvc repro tasks` first"):
        load_table("desk_vqa.parquet", str(tmp_path / "desk_vqa.yaml"))


@pytest.mark.parametrize(
    ("answer", "expected"), [("A dog.", "dog"), ("the  Red", "red"), ("2", "two"), ("three!", "three"), ("an an", "")]
)
def test_normalised(answer, expected):
    assert normalised(answer) == expected


@pytest.mark.parametrize(
    ("score", "right", "answers"),
    [
        (short_answer, "dog", {"dog": 1, "a dog": 1, "Dog.": 1, "dogs": 0, "dog and cat": 0, "": 0}),
        (yes_or_no, "no", {"no": 1, "No, there": 1, "yes": 0, "not": 0, "": 0, "dog": 0}),
    ],
)
def test_accuracy(score, right, answers):
    assert {answer: score({"answers": [right]}, [answer])["accuracy"] for answer in answers} == answers


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["food or drink", "A food or drink.", "B", "(B)", "B. food or drink"], "food or drink"),
        (["A. object", "A"], "object"),
        (["A dog", "Drink", "E", ""], None),
    ],
)
def test_an_option_is_named_by_its_words_or_its_letter(answers, expected):
    for answer in answers:
        assert named_option(answer, KINDS) == expected
        scored = option({"answers": ["food or drink"], "choices": KINDS}, [answer])
        assert scored == {"accuracy": float(expected == KINDS[1])}
