"""The filter that looks at pictures: does a caption fit the one that it came with?"""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption
from synthpairs.schema import normalise

if TYPE_CHECKING:
    from synthpairs.scores.clip import ClipScorer


class Alignment:
    """Raw CLIP cosines of captions with their originals, first measured chunk by chunk, then ranked all together.

    A caption that never had a picture passes unmeasured: the paper's filter cannot be asked about it.
    """

    def __init__(self, params: CaptionParams) -> None:
        self._params = params
        self._values: list[float] = []
        self._uids: list[str] = []

    @cached_property
    def _scorer(self) -> "ClipScorer":
        from synthpairs.scores.clip import ClipScorer  # with torch: only where there are pictures

        params = self._params
        return ClipScorer("captions", params.clip, params.pretrained, prefix="", precision="fp32", batch=params.batch)

    def measure(self, captions: Sequence[Caption]) -> None:
        """Measure the next captions, no two with one uid."""
        pairs = [(caption, caption.original) for caption in captions if caption.original is not None]
        texts = [normalise(caption.text) for caption, _ in pairs]
        for (caption, _), value in zip(pairs, self._cosines(texts, [png for _, png in pairs]), strict=True):
            caption.measures["clip_original"] = round(value, 4)
            self._values.append(caption.measures["clip_original"])
            self._uids.append(caption.uid)

    def _cosines(self, texts: Sequence[str], pictures: Sequence[bytes]) -> list[float]:
        """Raw CLIP cosine in [-1, 1] of each text with its encoded picture."""
        values: list[float] = []
        batch = self._params.batch
        for first in range(0, len(texts), batch):  # all views at once may be more than memory holds
            chosen = slice(first, first + batch)
            views = [self._scorer.view(Image.open(io.BytesIO(png)).convert("RGB")) for png in pictures[chosen]]
            values += (self._scorer.embed_pictures(views) * self._scorer.embed_texts(texts[chosen])).sum(1).tolist()
        return values

    def kept(self) -> int:
        """How many of the measured captions stay."""
        fitting = sum(value >= self._params.limits.clip_min for value in self._values)
        return min(fitting, self._places)

    @property
    def _places(self) -> int:
        return math.ceil(self._params.limits.clip_top_share * len(self._values))

    def dropped(self, captions: Iterable[tuple[str, Caption]]) -> Iterator[Caption]:
        """All captions, given with their uid and in its order; of the measured ones `clip_top_share` (rounded up) stay.

        They are those that fit their original best, at `clip_min` or more.
        """
        limits, count, places = self._params.limits, len(self._values), self._places
        by_uid = np.argsort(np.array(self._uids, dtype=np.bytes_), kind="stable")
        ranked = np.lexsort((np.array(self._uids, dtype=np.bytes_), -np.array(self._values)))
        place = np.empty(count, dtype=np.int64)
        place[ranked] = np.arange(count)
        measured = iter(np.ascontiguousarray(place[by_uid]).data)
        for _, caption in captions:
            cosine = caption.measures.get("clip_original")
            if cosine is not None:
                its = next(measured)
                if cosine < limits.clip_min:
                    caption.reject("alignment", f"cosine {cosine:.4f} < {limits.clip_min}")
                elif its >= places:
                    detail = f"cosine {cosine:.4f}: place {its + 1} of {count}, {places} are kept"
                    caption.reject("alignment", detail)
            yield caption
