"""People's votes, one JSON line each, in a file in git."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sklearn.metrics import cohen_kappa_score

from synthpairs.core.storage import write_bytes
from synthpairs.core.untrusted_json import loads
from synthpairs.evaluation.preference.measures import CHOICES, DECIMALS
from synthpairs.evaluation.statistics import mean

VOTES = Path("reports/preference/votes.jsonl")
Choice = Literal["synthetic", "real", "tie"]
SCORES = {choice: score for score, choice in CHOICES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's choice on one image pair; None withdraws an earlier one."""

    couple: str
    voter: str  # may be empty
    choice: Choice | None


def add_votes(path: Path, votes: Sequence[Vote]) -> int:
    """Append votes that are not yet valid in the file, and return their number; existing lines do not change."""
    valid = read_votes(path)
    new = [vote for vote in votes if vote not in valid]
    content = path.read_bytes() if path.exists() else b""
    lines = [content.removesuffix(b"\n")] * bool(content)  # an editor may have removed the last line break
    lines += [json.dumps(asdict(vote), ensure_ascii=False).encode() for vote in new]
    if new:
        write_bytes(path, b"\n".join(lines) + b"\n")
    return len(new)


def read_votes(path: Path) -> list[Vote]:
    """Valid votes: each voter's last one on each image pair, in order of their first; none without a file.

    ValueError, with file and line, for a line that is no vote.
    """
    if not path.exists():
        return []
    last: dict[tuple[str, str], Vote] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):  # splitlines also splits at U+2028 and others
        if line.strip():
            vote = _parse(line, f"{path} line {number}")
            last[vote.voter, vote.couple] = vote
    return [vote for vote in last.values() if vote.choice is not None]


def agreement(one: Sequence[str], other: Sequence[str]) -> dict[str, Any]:
    """`n`, share of equal answers (`agreement`) and Cohen's `kappa` of two raters; ValueError without items.

    Kappa is None where it is undefined: both raters always give the same answer.
    """
    equal = mean([float(first == second) for first, second in zip(one, other, strict=True)])
    kappa = None if len({*one, *other}) == 1 else round(float(cohen_kappa_score(one, other)), DECIMALS)
    return {"n": len(one), "agreement": round(equal, DECIMALS), "kappa": kappa}


def _parse(line: bytes, where: str) -> Vote:
    try:
        vote = Vote(**loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: not a vote ({error}); correct or delete the line") from None
    if not (isinstance(vote.couple, str) and isinstance(vote.voter, str)):
        raise ValueError(f"{where}: couple and voter must be text")
    if vote.choice not in (*get_args(Choice), None):
        raise ValueError(f"{where}: choice must be one of {', '.join(get_args(Choice))} or null, got {vote.choice!r}")
    return vote
