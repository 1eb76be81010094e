from synthpairs.evaluation.preference.votes import Vote, read_votes
from synthpairs.report.sections.votes import votes_summary
from tests.evaluation.preference.conftest import PARAMS

PAIRS = (("c1", "dog", "synthetic"), ("c2", "dog", "real"), ("c3", "cat", "real"), ("c4", "", "tie"))
RESULTS = {
    "judges": {"one": {}, "two": {}},
    "couples": {
        name: {"concept": concept, "verdicts": {"one": verdict, "two": "tie"}} for name, concept, verdict in PAIRS
    },
}


def votes(voter, **choices):
    return [Vote(couple=couple, voter=voter, choice=choice) for couple, choice in choices.items()]


def test_without_votes_on_drawn_pairs_there_is_no_summary(tmp_path):
    assert votes_summary(read_votes(tmp_path / "none.jsonl"), RESULTS, PARAMS).startswith("No votes yet")
    stale = votes_summary(votes("ada", gone="real"), RESULTS, PARAMS)
    assert stale.startswith("No votes yet")
    assert "1 votes are about image pairs that are no longer drawn" in stale


def test_people_are_compared_with_each_judge():
    ada = votes("ada", c1="synthetic", c2="real", c3="synthetic", c4="tie")
    text = votes_summary([*ada, *votes("bob", c1="tie")], RESULTS, PARAMS)
    assert "2 people, 4 of 4 image pairs: synthetic 2, tie 2, real 1 (n = 5); win rate 60.0%" in text
    # `one` agrees on c1 (ada), c2 and c4: 3 of 5. By chance 0.4 x 0.4 + 0.2 x 0.4 + 0.4 x 0.2 = 0.32: (0.6 - 0.32) / 0.68
    assert "| `one` | 5 | 60.0% | 0.41 |" in text
    assert "| `two` | 5 | 40.0% | 0.00 |" in text
