"""Questions to judges, which of two images shows a caption better, and their verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synthpairs.evaluation.preference.image_pairs import ImagePair

Problem = Literal["inconsistent", "unclear", "failed"]


@dataclass(frozen=True, slots=True)
class PairQuestion:
    """Which of two images (PNG) shows the caption better?"""

    caption: str
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """1 if the first image wins, 0 if the second does, 0.5 for a tie; `problem` is why the judge did not choose one.

    `inconsistent`: the choice changed with the order. `unclear`: the reply names no image. `failed`: no reply.
    """

    score: float
    problem: Problem | None = None


def pair_questions(image_pairs: Sequence[ImagePair]) -> tuple[list[PairQuestion], dict[str, dict[int, PairQuestion]]]:
    """Questions about image pairs (generated, real), and control questions by origin and index of their pair.

    A control question sets a pair's image against one of the same origin that does not show the caption: that of the
    next pair about something else. There is none if all captions are about one thing.
    """
    controls: dict[str, dict[int, PairQuestion]] = {"real": {}, "synthetic": {}}
    for index, pair in enumerate(image_pairs):
        others = (*image_pairs[index + 1 :], *image_pairs[:index])
        if other := next((other for other in others if _mismatched(pair, other)), None):
            controls["real"][index] = PairQuestion(pair.text, pair.real, other.real)
            controls["synthetic"][index] = PairQuestion(pair.text, pair.synthetic, other.synthetic)
    return [PairQuestion(pair.text, pair.synthetic, pair.real) for pair in image_pairs], controls


def _mismatched(pair: ImagePair, other: ImagePair) -> bool:
    if not pair.concept:
        return pair.text != other.text
    return pair.concept != other.concept and pair.concept.casefold() not in other.text.casefold()
