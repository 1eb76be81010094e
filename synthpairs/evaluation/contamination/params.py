"""Settings of the audit for duplicates and contamination."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsfw:
    """An image classifier and which of its labels counts."""

    model: str  # directory of a transformers image classifier, or OWNER/NAME@REVISION of a hub model
    label: str  # of its configuration (id2label)
    min: Annotated[float, Within(0, 1)]  # probability of the label from which a picture is flagged
    batch: Annotated[int, Within(1, 4096)]  # pictures at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Section `audit`: from where on a pair is flagged. Flags are written and counted; no pair is dropped for them."""

    hash_distance: Annotated[int, Within(0, 7)]  # differing bits of 64 up to which pictures are nearly the same
    caption_ngram: Annotated[int, Within(1, 50)]  # words
    caption_share: Annotated[float, Within(0, 1)]  # of a caption's n-grams, from which it is flagged if there is any
    cosine_min: Annotated[float | None, Within(-1, 1)]  # of CLIP, to a benchmark's picture; null: not measured
    text: bool  # whether text in images is read; needs the packages of the extra `text`
    nsfw: Nsfw | None  # null: not measured
    max_failed_share: Annotated[float, Within(0, 1)]  # of the pictures, above which the stage fails
