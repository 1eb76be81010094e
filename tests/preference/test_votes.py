"""Votes are lines that are only ever added; the last one of a voter on a couple counts."""

from pathlib import Path

import pytest

from synthpairs.preference.votes import Vote, add_vote, read_votes, summary
from tests.preference.conftest import PARAMS

RESULTS = {
    "judges": {"one": {}, "two": {}},
    "couples": {
        name: {"concept": concept, "verdicts": {"one": verdict, "two": "tie"}}
        for name, concept, verdict in (
            ("c1", "dog", "synthetic"),
            ("c2", "dog", "real"),
            ("c3", "cat", "real"),
            ("c4", "", "tie"),
        )
    },
}


def vote(couple: str, choice: str | None, voter: str = "ada") -> Vote:
    return Vote(couple=couple, voter=voter, choice=choice)  # type: ignore[arg-type]


def test_lines_are_added_and_the_last_word_counts(tmp_path: Path) -> None:
    path = tmp_path / "reports/votes.jsonl"
    given = [vote("c1", "real"), vote("c1", "tie", "bob"), vote("c2", "tie"), vote("c1", "synthetic"), vote("c2", None)]
    for place, one in enumerate(given):
        before = path.read_bytes() if place else b""
        add_vote(path, one)
        assert path.read_bytes().startswith(before)
    assert len(path.read_text().splitlines()) == len(given)
    assert read_votes(path) == [vote("c1", "synthetic"), vote("c1", "tie", "bob")]


def test_a_missing_line_break_does_not_cost_a_vote(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    add_vote(path, vote("c1", "real"))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    add_vote(path, vote("c2", "real"))
    assert [one.couple for one in read_votes(path)] == ["c1", "c2"]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        '{"couple": "c1"}',
        '{"couple": "c1", "voter": "a", "choice": "left"}',
        '{"couple": 1, "voter": "a", "choice": null}',
    ],
)
def test_what_is_no_vote_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "votes.jsonl"
    add_vote(path, vote("c1", "real"))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"votes\.jsonl line 2"):
        read_votes(path)


def test_without_votes_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert summary(read_votes(tmp_path / "none.jsonl"), RESULTS, PARAMS).startswith("No votes yet")
    stale = summary([vote("gone", "real")], RESULTS, PARAMS)
    assert stale.startswith("No votes yet")
    assert "1 votes are about couples that are no longer drawn" in stale


def test_people_are_held_against_each_judge() -> None:
    votes = [
        vote("c1", "synthetic"),
        vote("c2", "real"),
        vote("c3", "synthetic"),
        vote("c4", "tie"),
        vote("c1", "tie", "bob"),
    ]
    told = summary(votes, RESULTS, PARAMS)
    assert "2 people, 4 of 4 couples: synthetic 2, tie 2, real 1 (n = 5); win rate 60.0%" in told
    # `one` agrees on c1 (ada), c2 and c4: 3 of 5. By habit 0.4 x 0.4 + 0.2 x 0.4 + 0.4 x 0.2 = 0.32: (0.6 - 0.32) / 0.68
    assert "| `one` | 5 | 60.0% | 0.41 |" in told
    assert "| `two` | 5 | 40.0% | 0.00 |" in told
