"""Votes are lines that are only ever added; the last one of a voter on an image pair counts."""

import numpy as np
import pytest

from synthpairs.evaluation.preference.votes import Vote, add_votes, agreement, read_votes
from synthpairs.report.sections.votes import votes_summary
from tests.evaluation.preference.conftest import PARAMS

PAIRS = (("c1", "dog", "synthetic"), ("c2", "dog", "real"), ("c3", "cat", "real"), ("c4", "", "tie"))
RESULTS = {
    "judges": {"one": {}, "two": {}},
    "couples": {
        name: {"concept": concept, "verdicts": {"one": verdict, "two": "tie"}} for name, concept, verdict in PAIRS
    },
}


def vote(couple, choice, voter="ada"):
    return Vote(couple=couple, voter=voter, choice=choice)  # type: ignore[arg-type]


def test_lines_are_added_and_the_last_one_counts(tmp_path):
    path = tmp_path / "reports/votes.jsonl"
    first = [vote("c1", "real"), vote("c1", "tie", "bob"), vote("c2", "tie")]
    assert add_votes(path, first) == 3
    assert add_votes(path, first) == 0, "a file that is added twice changes nothing"
    before = path.read_bytes()
    path.write_bytes(before.rstrip(b"\n"))  # an editor may take the last line break
    assert add_votes(path, [vote("c1", "synthetic"), vote("c2", None)]) == 2
    assert path.read_bytes().startswith(before)
    assert len(path.read_text().splitlines()) == 5
    assert read_votes(path) == [vote("c1", "synthetic"), vote("c1", "tie", "bob")]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        '{"couple": "c1"}',
        '{"couple": "c1", "voter": "a", "choice": "left"}',
        '{"couple": 1, "voter": "a", "choice": null}',
    ],
)
def test_what_is_no_vote_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "votes.jsonl"
    add_votes(path, [vote("c1", "real")])
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(ValueError, match=r"votes\.jsonl line 2"):
        read_votes(path)


def test_without_votes_on_drawn_pairs_there_is_no_summary(tmp_path):
    assert votes_summary(read_votes(tmp_path / "none.jsonl"), RESULTS, PARAMS).startswith("No votes yet")
    stale = votes_summary([vote("gone", "real")], RESULTS, PARAMS)
    assert stale.startswith("No votes yet")
    assert "1 votes are about image pairs that are no longer drawn" in stale


def test_people_are_compared_with_each_judge():
    votes = [vote("c1", "synthetic"), vote("c2", "real"), vote("c3", "synthetic"), vote("c4", "tie")]
    text = votes_summary([*votes, vote("c1", "tie", "bob")], RESULTS, PARAMS)
    assert "2 people, 4 of 4 image pairs: synthetic 2, tie 2, real 1 (n = 5); win rate 60.0%" in text
    # `one` agrees on c1 (ada), c2 and c4: 3 of 5. By chance 0.4 x 0.4 + 0.2 x 0.4 + 0.4 x 0.2 = 0.32: (0.6 - 0.32) / 0.68
    assert "| `one` | 5 | 60.0% | 0.41 |" in text
    assert "| `two` | 5 | 40.0% | 0.00 |" in text


@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_cohens(seed):
    """Educ. Psychol. Meas. 20, 1960: agreement beyond that of independent raters with the same shares."""
    rng = np.random.default_rng(seed)
    one = rng.choice(["synthetic", "real", "tie"], 60, p=[0.5, 0.3, 0.2])
    other = np.where(rng.random(60) < 0.6, one, rng.choice(["synthetic", "real", "tie"], 60))
    observed = np.mean(one == other)
    expected = sum(np.mean(one == choice) * np.mean(other == choice) for choice in ("synthetic", "real", "tie"))
    result = agreement(list(one), list(other))
    assert result["agreement"] == pytest.approx(observed, abs=1e-4)
    assert result["kappa"] == pytest.approx((observed - expected) / (1 - expected), abs=1e-4)


@pytest.mark.filterwarnings("error")
def test_kappa_of_two_that_never_vary_is_none():
    assert agreement(["tie"] * 4, ["tie"] * 4) == {"n": 4, "agreement": 1.0, "kappa": None}
    assert agreement(["tie"] * 4, ["real"] * 4)["kappa"] == 0
