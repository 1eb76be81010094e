"""Questions to a judge, which of two images shows a caption better, and what any judge can answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synthpairs.evaluation.preference.image_pairs import ImagePair, mismatched_pairs

Trouble = Literal["inconsistent", "unclear", "failed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two images (PNG) shows the caption better?"""

    caption: str
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """1 where the first image wins, 0 where the second does, 0.5 for a tie; `trouble` says which ties are none by choice.

    `inconsistent`: the judge changed its mind with the order. `unclear`: it named no image. `failed`: it did not answer.
    """

    score: float
    trouble: Trouble | None = None


def comparisons(image_pairs: Sequence[ImagePair]) -> tuple[list[Comparison], dict[str, dict[int, Comparison]]]:
    """The questions about image pairs, and the control questions by origin and index of their pair.

    There is no control question where all captions are about one thing.
    """
    controls: dict[str, dict[int, Comparison]] = {"real": {}, "synthetic": {}}
    for index, (pair, other) in enumerate(zip(image_pairs, mismatched_pairs(image_pairs), strict=True)):
        if other is not None:
            controls["real"][index] = Comparison(pair.text, pair.real, other.real)
            controls["synthetic"][index] = Comparison(pair.text, pair.synthetic, other.synthetic)
    return [Comparison(pair.text, pair.synthetic, pair.real) for pair in image_pairs], controls
