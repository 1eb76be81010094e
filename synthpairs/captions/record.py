"""The record of one caption on its way through the filters."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from synthpairs.core.schema import BLIP_ITM, CAPTIONS, REJECTED, caption_uid

MEASURES = tuple(
    name for name in CAPTIONS.names if name not in ("uid", "text", "source", "concept", "drawings", "original")
)  # columns of every run; captions.blip adds another


@dataclass(slots=True, kw_only=True)
class Caption:
    """A caption with its measures so far and, if it was rejected, the reason."""

    text: str
    source: str
    concept: str  # empty if unknown
    drawings: tuple[str, ...] = ()  # in the original image
    original: bytes | None = None  # PNG or JPEG
    noise: str | None = None  # kind of noise in a template caption
    measures: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    detail: str = ""

    @property
    def uid(self) -> str:
        """Identity: normalised text and source."""
        return caption_uid(self.text, self.source)

    def reject(self, reason: str, detail: str) -> None:
        """Reject the caption for good; later filters skip it."""
        assert self.reason is None, f"rejected twice: {self.text!r}"
        self.reason, self.detail = reason, detail

    def row(self) -> dict[str, Any]:
        """Row of CAPTIONS or REJECTED; measures that were not taken are null."""
        assert set(self.measures) <= {*MEASURES, *BLIP_ITM.names}
        row = dict.fromkeys(REJECTED.names) | self.measures
        row |= {"uid": self.uid, "text": self.text, "source": self.source, "concept": self.concept}
        row |= {"drawings": list(self.drawings), "original": self.original}
        return row | {"reason": self.reason, "detail": self.detail}


def remaining(captions: Iterable[Caption]) -> list[Caption]:
    """The captions that have not been rejected."""
    return [caption for caption in captions if caption.reason is None]
