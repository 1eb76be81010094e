"""CLIP filter: cosine similarity of captions and their original images."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from synthpairs.captions.pair_values import pair_values
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption
from synthpairs.core.images import decode_image
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore

if TYPE_CHECKING:
    from synthpairs.models.clip import ClipScorer


class ClipFilter:
    """Keeps the captions with the highest CLIP cosines: measured chunk by chunk, then ranked together.

    Captions without an original image pass unmeasured.
    """

    def __init__(self, params: CaptionParams, store: WorkStore) -> None:
        self._params, self._store = params, store
        self._cosines: dict[str, float] = {}  # by uid

    @cached_property
    def _scorer(self) -> "ClipScorer":
        from synthpairs.models.clip import ClipScorer  # imports torch: only if there are images

        params = self._params
        return ClipScorer(
            "captions", params.clip, params.pretrained, prefix="", precision="fp32", batch=params.batch_size
        )

    @cached_property
    def _hash(self) -> str:
        return digest(self._scorer.inputs, self._params.batch_size)

    def measure(self, captions: Sequence[Caption]) -> None:
        """Measure the next captions, whose uids must be unique over all calls."""
        pictured = [caption for caption in captions if caption.original is not None]
        if not pictured:
            return
        batch = self._params.batch_size  # all preprocessed images at once may not fit into memory
        for caption, cosine in pair_values(self._store, "clip", self._hash, pictured, batch, self._measured):
            self._cosines[caption.uid] = caption.measures["clip_original"] = round(cosine, 4)

    def _measured(self, texts: Sequence[str], images: Sequence[bytes]) -> list[float]:
        embeddings = self._scorer.embed_pictures([self._scorer.view(decode_image(image)) for image in images])
        cosines: list[float] = (embeddings * self._scorer.embed_texts(texts)).sum(1).tolist()
        return cosines

    @property
    def _quota(self) -> int:
        return math.ceil(self._params.limits.clip_top_share * len(self._cosines))

    def num_kept(self) -> int:
        """Number of measured captions that pass."""
        return min(sum(cosine >= self._params.limits.clip_min for cosine in self._cosines.values()), self._quota)

    def filter(self, captions: Iterable[tuple[str, Caption]]) -> Iterator[Caption]:
        """All captions of (uid, caption); rejects measured ones below `clip_min` or outside the top `clip_top_share`."""
        least, quota = self._params.limits.clip_min, self._quota
        order = sorted(self._cosines.items(), key=lambda pair: (-pair[1], pair[0]))
        ranks = {uid: rank for rank, (uid, _) in enumerate(order, start=1)}
        for uid, caption in captions:
            cosine = caption.measures.get("clip_original")
            if cosine is not None and cosine < least:
                caption.reject("alignment", f"cosine {cosine:.4f} < {least}")
            elif cosine is not None and ranks[uid] > quota:
                detail = f"cosine {cosine:.4f}: place {ranks[uid]} of {len(ranks)}, {quota} are kept"
                caption.reject("alignment", detail)
            yield caption
