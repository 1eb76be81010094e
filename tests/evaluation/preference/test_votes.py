"""Votes are lines that are only appended; the last one of a voter on an image pair counts."""

import sys

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from synthpairs.evaluation.preference.votes import Vote, add_votes, agreement, read_votes
from tests.conftest import run_python


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
        b"no JSON",
        b'{"couple": "c3", "vo',  # cut
        b'{"couple": "c1", "voter": "\xe9", "choice": "tie"}',
        b'{"couple": "c1"}',
        b'{"couple": "c1", "voter": "a", "choice": "left"}',
        b'{"couple": "c1", "voter": "a", "choice": ["tie"]}',
        b'{"couple": 1, "voter": "a", "choice": null}',
        b"[" * 10**5,
        bytes(40),
    ],
)
def test_an_invalid_vote_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "votes.jsonl"
    add_votes(path, [vote("c1", "real")])
    before = path.read_bytes() + line + b"\n"
    path.write_bytes(before)
    for read in (read_votes, lambda path: add_votes(path, [vote("c2", "real")])):
        with pytest.raises(ValueError, match=r"votes\.jsonl line 2: "):
            read(path)
    assert path.read_bytes() == before


def test_names_may_hold_any_separator_and_lines_end_as_on_windows(tmp_path):
    path = tmp_path / "votes.jsonl"
    names = [f"Ada{separator}L" for separator in "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r\n\0"]
    votes = [vote("c1", "tie", name) for name in names]
    assert add_votes(path, votes) == len(names)
    assert (read_votes(path), add_votes(path, votes)) == (votes, 0)
    path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert (read_votes(path), add_votes(path, votes)) == (votes, 0)
    assert add_votes(path, [vote("c2", "real")]) == 1
    assert read_votes(path) == [*votes, vote("c2", "real")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of a file's size ends the process")
def test_votes_on_a_full_disk_leave_the_file_as_it_was(tmp_path):
    """A limit of the files' size stands for the disk: a write is cut there as well, and the next one fails."""
    path = tmp_path / "votes.jsonl"
    add_votes(path, [vote("c1", "real")])
    before = path.read_bytes()
    code = """
        from pathlib import Path
        from synthpairs.evaluation.preference.votes import Vote, add_votes
        add_votes(Path("votes.jsonl"), [Vote(couple="c2", voter="ada", choice="tie")])
    """
    done = run_python(code, limit=len(before) + 20, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] cannot write votes.jsonl: File too large"
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], before)


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
