"""Summary of people's votes between generated and original images, with their agreement with the judges."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthpairs.evaluation.preference.measures import won
from synthpairs.evaluation.preference.params import Preference
from synthpairs.evaluation.preference.votes import SCORES, Vote, agreement
from synthpairs.report.sections.preference import agreement_table, win_line


def votes_summary(votes: Sequence[Vote], results: Mapping[str, Any], params: Preference) -> str:
    """People's win rate and their agreement with each judge, as Markdown.

    `results` as `make.make_preference` gives them; votes on image pairs that are no longer among them do not count.
    """
    pairs = results["couples"]
    counted = [vote for vote in votes if vote.couple in pairs]
    stale = len(votes) - len(counted)
    notes = [f"{stale} votes are about image pairs that are no longer drawn, and do not count."] if stale else []
    if not counted:
        return "\n\n".join(["No votes yet: `python -m synthpairs vote` writes a voting page.", *notes]) + "\n"
    choices = [str(vote.choice) for vote in counted]
    clusters = [pairs[vote.couple]["concept"] or vote.couple for vote in counted]
    numbers = won([SCORES[choice] for choice in choices], clusters, params.resamples, params.seed)
    people = len({vote.voter for vote in counted})
    by_judge = {
        judge: agreement(choices, [pairs[vote.couple]["verdicts"][judge] for vote in counted])
        for judge in results["judges"]
    }
    covered = f"{len({vote.couple for vote in counted}):,} of {len(pairs):,} image pairs"
    head = f"{people} {'person' if people == 1 else 'people'}, {covered}: {win_line(numbers)}"
    return "\n\n".join([head, agreement_table(by_judge), *notes]) + "\n"
