"""Summary of people's votes between generated and original images, with their agreement with the judges."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.preference.measures import win_rate
from synthpairs.evaluation.preference.params import Preference
from synthpairs.evaluation.preference.votes import SCORES, Vote, agreement
from synthpairs.evaluation.statistics import probability
from synthpairs.report.sections.preference import rate_text


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
    numbers = win_rate([SCORES[choice] for choice in choices], clusters, params.resamples, params.seed)
    p = probability(numbers["p"])
    people, covered = (len({getattr(vote, name) for vote in counted}) for name in ("voter", "couple"))
    summary = (
        f"{people} {'person' if people == 1 else 'people'}, {covered:,} of {len(pairs):,} image pairs: synthetic "
        f"{numbers['wins']}, tie {numbers['ties']}, real {numbers['losses']} (n = {numbers['n']:,}); win rate "
        f"{rate_text(numbers)}, sign test p {p if p.startswith('<') else f'= {p}'}."
    )
    rows = []
    for judge in results["judges"]:
        result = agreement(choices, [pairs[vote.couple]["verdicts"][judge] for vote in counted])
        kappa = "-" if result["kappa"] is None else f"{result['kappa']:.2f}"
        rows.append([f"`{judge}`", f"{result['n']:,}", f"{result['agreement']:.1%}", kappa])
    table = markdown_table(["judge", "votes", "agreement", "Cohen's kappa"], rows, words=[0])
    return "\n\n".join([summary, table, *notes]) + "\n"
