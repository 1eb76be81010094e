"""How single answers are judged."""

from pathlib import Path

import pytest

from synthpairs.benchmarks.scoring import beside, caption, chosen, normalised, option, short_answer, yes_or_no

KINDS = ["object", "food or drink", "animal or plant", "place or vehicle"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("A dog.", "dog"), ("the  Red", "red"), ("2", "two"), ("three!", "three"), ("", ""), ("an an", "")],
)
def test_normalised(answer: str, expected: str) -> None:
    assert normalised(answer) == expected


@pytest.mark.parametrize(
    ("answer", "score"), [("dog", 1), ("a dog", 1), ("Dog.", 1), ("dogs", 0), ("dog and cat", 0), ("", 0)]
)
def test_short_answer(answer: str, score: float) -> None:
    assert short_answer({"answers": ["dog"]}, [answer]) == {"accuracy": score}


@pytest.mark.parametrize(
    ("answer", "score"), [("no", 1), ("No, there", 1), ("yes", 0), ("not", 0), ("", 0), ("dog", 0)]
)
def test_yes_or_no(answer: str, score: float) -> None:
    assert yes_or_no({"answers": ["no"]}, [answer]) == {"accuracy": score}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("food or drink", "food or drink"),
        ("A food or drink.", "food or drink"),
        ("B", "food or drink"),
        ("(B)", "food or drink"),
        ("B. food or drink", "food or drink"),
        ("A. object", "object"),
        ("A", "object"),
        ("A dog", None),
        ("Drink", None),
        ("E", None),
        ("", None),
    ],
)
def test_chosen(answer: str, expected: str | None) -> None:
    assert chosen(answer, KINDS) == expected
    assert option({"answers": ["food or drink"], "choices": KINDS}, [answer]) == {
        "accuracy": float(expected == KINDS[1])
    }


def test_caption_passes_everything_on() -> None:
    assert caption({"answers": ["a dog"]}, ["a cat"]) == {"cider": ("a cat", ["a dog"])}


def test_missing_table_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"desk_vqa\.parquet is missing: run `dvc repro tasks` first"):
        beside("desk_vqa.parquet", str(tmp_path / "desk_vqa.yaml"))
