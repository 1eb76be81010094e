"""Votes are lines that are only appended; the last one of a voter on an image pair counts."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from synthpairs.evaluation.preference.votes import Vote, add_votes, agreement, read_votes


def vote(couple, choice, voter="ada"):
    return Vote(couple=couple, voter=voter, choice=choice)


def test_lines_are_added_and_the_last_one_counts(tmp_path):
    path = tmp_path / "reports/votes.jsonl"
    first = [vote("c1", "real"), vote("c1", "tie", "bob"), vote("c2", "tie")]
    assert add_votes(path, first) == 3
    assert add_votes(path, first) == 0, "votes are added once"
    before = path.read_bytes()
    path.write_bytes(before.rstrip(b"\n"))  # an editor may remove the last line break
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
def test_an_invalid_vote_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "votes.jsonl"
    add_votes(path, [vote("c1", "real")])
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(ValueError, match=r"votes\.jsonl line 2"):
        read_votes(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(3))
def test_kappa_is_cohens(seed):
    rng = np.random.default_rng(seed)
    one = rng.choice(["synthetic", "real", "tie"], 60, p=[0.5, 0.3, 0.2])
    other = np.where(rng.random(60) < 0.6, one, rng.choice(["synthetic", "real", "tie"], 60))
    kappa = pytest.approx(cohen_kappa_score(one, other), abs=1e-4)
    agreed = pytest.approx(np.mean(one == other), abs=1e-4)
    assert agreement(list(one), list(other)) == {"n": 60, "agreement": agreed, "kappa": kappa}
    assert agreement(["tie"] * 4, ["tie"] * 4) == {"n": 4, "agreement": 1.0, "kappa": None}, "they never vary"
    assert agreement(["tie"] * 4, ["real"] * 4)["kappa"] == 0
