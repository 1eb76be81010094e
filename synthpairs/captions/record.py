"""One caption on its way through the filters."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from synthpairs.core.schema import BLIP_ITM, CAPTIONS, REJECTED, caption_uid

MEASURES = tuple(
    name for name in CAPTIONS.names if name not in ("uid", "text", "source", "concept", "drawings", "original")
)  # of every run; captions.blip adds another


@dataclass(slots=True, kw_only=True)
class Caption:
    """A caption, what was measured about it so far, and why it was rejected, if it was."""

    text: str
    source: str
    concept: str  # what it was written about; empty when nobody knows
    drawings: tuple[str, ...] = ()  # what its original picture shows
    original: bytes | None = None  # PNG
    noise: str | None = None  # how it was spoilt on purpose
    measures: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    detail: str = ""

    @property
    def uid(self) -> str:
        """Identity: normalised text and source."""
        return caption_uid(self.text, self.source)

    def reject(self, reason: str, detail: str) -> None:
        """Take it out for good; later filters never see it."""
        assert self.reason is None, f"rejected twice: {self.text!r}"
        self.reason, self.detail = reason, detail

    def row(self) -> dict[str, Any]:
        """Its row in CAPTIONS or REJECTED; measures that were never taken are null."""
        assert set(self.measures) <= {*MEASURES, *BLIP_ITM.names}
        row = dict.fromkeys(REJECTED.names) | self.measures
        row |= {"uid": self.uid, "text": self.text, "source": self.source, "concept": self.concept}
        row |= {"drawings": list(self.drawings), "original": self.original}
        return row | {"reason": self.reason, "detail": self.detail}


def alive(captions: Iterable[Caption]) -> list[Caption]:
    """Those that were not rejected so far."""
    return [caption for caption in captions if caption.reason is None]
