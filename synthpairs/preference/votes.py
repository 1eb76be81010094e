"""People's votes: one JSON line each, in a file that git keeps, and what they come to beside the judges."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from synthpairs.preference.measures import CHOICES, agreement, won
from synthpairs.preference.page import agreement_table, win_line
from synthpairs.preference.params import Preference

VOTES = Path("reports/preference/votes.jsonl")
Choice = Literal["synthetic", "real", "tie"]
SCORES = {choice: score for score, choice in CHOICES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person said of one couple; a `choice` of None takes back what was said before."""

    couple: str
    voter: str  # empty: no name was given
    choice: Choice | None


def add_vote(path: Path, vote: Vote) -> None:
    """Append one line in one write, and have it on the disk before returning; nothing that is there is touched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(asdict(vote), ensure_ascii=False) + "\n").encode()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        whole = not end or os.pread(file, 1, end - 1) == b"\n"  # an editor may have taken the last line break
        os.write(file, line if whole else b"\n" + line)
        os.fsync(file)
    finally:
        os.close(file)


def read_votes(path: Path) -> list[Vote]:
    """The votes that stand: each voter's last word on each couple, in the order of their first; none without a file.

    ValueError names file and line of what is no vote.
    """
    if not path.exists():
        return []
    last: dict[tuple[str, str], Vote] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        vote = _parsed(line, f"{path} line {number}")
        last[vote.voter, vote.couple] = vote
    return [vote for vote in last.values() if vote.choice is not None]


def summary(votes: Sequence[Vote], results: Mapping[str, Any], params: Preference) -> str:
    """People's win rate and how far they agree with each judge, as Markdown; "No votes yet." without any.

    `results` as `make.make_preference` gives them; votes on couples that are no longer among them do not count.
    """
    couples = results["couples"]
    counted = [vote for vote in votes if vote.couple in couples]
    stale = len(votes) - len(counted)
    told = [f"{stale} votes are about couples that are no longer drawn, and do not count."] if stale else []
    if not counted:
        return "\n\n".join(["No votes yet: `python -m synthpairs vote` collects them.", *told]) + "\n"
    choices = [str(vote.choice) for vote in counted]
    clusters = [couples[vote.couple]["concept"] or vote.couple for vote in counted]
    numbers = won([SCORES[choice] for choice in choices], clusters, params.resamples, params.seed)
    people = len({vote.voter for vote in counted})
    with_judges = {
        judge: agreement(choices, [couples[vote.couple]["verdicts"][judge] for vote in counted])
        for judge in results["judges"]
    }
    shown = f"{len({vote.couple for vote in counted}):,} of {len(couples):,} couples"
    head = f"{people} {'person' if people == 1 else 'people'}, {shown}: {win_line(numbers)}"
    return "\n\n".join([head, agreement_table(with_judges), *told]) + "\n"


def _parsed(line: str, where: str) -> Vote:
    try:
        vote = Vote(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: not a vote ({error})") from None
    if not (isinstance(vote.couple, str) and isinstance(vote.voter, str)):
        raise ValueError(f"{where}: couple and voter must be text")
    if vote.choice not in (*get_args(Choice), None):
        raise ValueError(f"{where}: choice must be one of {', '.join(get_args(Choice))} or null, got {vote.choice!r}")
    return vote
