"""What a judge is asked, and what it can answer, whoever it is."""

from dataclasses import dataclass
from typing import Literal

Trouble = Literal["inconsistent", "unclear", "failed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two pictures (PNG) shows the caption better?"""

    caption: str
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """1 where the first picture wins, 0 where the second does, 0.5 for a tie; `trouble` says which ties are none by choice.

    `inconsistent`: the judge changed its mind with the order. `unclear`: it named no picture. `failed`: it did not answer.
    """

    score: float
    trouble: Trouble | None = None
