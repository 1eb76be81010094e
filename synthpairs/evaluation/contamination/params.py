"""Section `contamination` of params.yaml: near duplicates and contamination."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsfw:
    """An image classifier and the label that is NSFW."""

    model: str  # directory of a transformers image classifier, or OWNER/NAME@REVISION of a hub model
    label: str  # of its configuration (id2label)
    min: Annotated[float, Within(0, 1)]  # probability of the label from which an image is flagged
    batch_size: Annotated[int, Within(1, 4096)]  # images per batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """Section `contamination`: thresholds from which a pair is flagged. Flags are written and counted; no pair is dropped."""

    hash_distance: Annotated[int, Within(0, 7)]  # differing bits of 64 up to which images are near duplicates
    caption_ngram: Annotated[int, Within(1, 50)]  # words
    caption_share: Annotated[float, Within(0, 1)]  # of shared n-grams from which a caption with any is flagged
    cosine_min: Annotated[float | None, Within(-1, 1)]  # of CLIP with a benchmark image; null: not measured
    text: bool  # whether text in images is read; needs the packages of the extra `text`
    nsfw: Nsfw | None  # null: not measured
    max_failed_share: Annotated[float, Within(0, 1)]  # of unreadable images, above which the stage fails
