"""The filter that looks at pictures: does a caption fit the one that it came with?"""

import io
import math
from collections.abc import Sequence

from PIL import Image

from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption
from synthpairs.schema import normalise
from synthpairs.scores.clip import ClipScorer


def cosines(params: CaptionParams, texts: Sequence[str], pictures: Sequence[bytes]) -> list[float]:
    """Raw CLIP cosine in [-1, 1] of each text with its encoded picture."""
    scorer = ClipScorer("captions", params.clip, params.pretrained, prefix="", precision="fp32", batch=params.batch)
    values: list[float] = []
    for first in range(0, len(texts), params.batch):  # all views at once may be more than memory holds
        chosen = slice(first, first + params.batch)
        views = [scorer.view(Image.open(io.BytesIO(png)).convert("RGB")) for png in pictures[chosen]]
        values += (scorer.embed_pictures(views) * scorer.embed_texts(texts[chosen])).sum(1).tolist()
    return values


def drop_misaligned(captions: Sequence[Caption], params: CaptionParams) -> None:
    """Keep the `clip_top_share` (rounded up) of the captions that fit their original best, at `clip_min` or more.

    A caption that never had a picture passes unmeasured: the paper's filter cannot be asked about it.
    """
    limits = params.limits
    pairs = [(caption, caption.original) for caption in captions if caption.original is not None]
    if not pairs:
        return
    texts = [normalise(caption.text) for caption, _ in pairs]
    for (caption, _), value in zip(pairs, cosines(params, texts, [png for _, png in pairs]), strict=True):
        caption.measures["clip_original"] = round(value, 4)
    ranked = sorted(
        (caption for caption, _ in pairs), key=lambda caption: (-caption.measures["clip_original"], caption.uid)
    )
    places = math.ceil(limits.clip_top_share * len(ranked))
    for place, caption in enumerate(ranked):
        cosine = caption.measures["clip_original"]
        if cosine < limits.clip_min:
            caption.reject("alignment", f"cosine {cosine:.4f} < {limits.clip_min}")
        elif place >= places:
            caption.reject("alignment", f"cosine {cosine:.4f}: place {place + 1} of {len(ranked)}, {places} are kept")
