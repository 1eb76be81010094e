"""Stage `images`: from curated captions to candidate images in data/images."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthpairs.core.schema import DRAFTS
from synthpairs.core.storage import write_table
from synthpairs.generation.batch import GenerationSpec
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import RECIPE, Images
from synthpairs.generation.diffusion.prompts import truncation_metrics

# IPTC's digital source type of images by a generative model.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# An XMP packet (ISO 16684-1, 7.3); read-only, so without padding for edits.
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


def make_images(captions: pd.DataFrame, params: Images, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, with one image per sample; returns metrics, tracked and not.

    With drafts also drafts.parquet, a row for every candidate.
    """
    if captions.empty:
        raise ValueError("data/captions/kept.parquet holds no caption: loosen the filters in params.yaml (captions)")
    within = _within_limit(captions, params)
    drafts, only = None, None
    if params.draft:
        from synthpairs.generation.diffusion.drafts import make_drafts  # imports open_clip

        drafts = make_drafts(within, params)
        only = {row["key"] for row in drafts if row["painted"]}
    metrics, volatile = make_candidates(within, partial(image_spec, params), out, only)
    if len(within) < len(captions):
        metrics["captions_beyond_limit"] = len(captions) - len(within)
    (out / "drafts.parquet").unlink(missing_ok=True)
    if drafts is not None:
        write_table(out / "drafts.parquet", drafts, DRAFTS)
        metrics["drafts"] = len(drafts)
        metrics["drafts_failed"] = sum(row["error"] is not None for row in drafts)
        metrics["drafts_dropped"] = sum(not row["painted"] for row in drafts)
    return metrics, volatile


def image_spec(params: Images) -> GenerationSpec:
    """The spec of candidate images; loads the pipeline."""
    generator = Generator(params)
    return GenerationSpec(
        stage="images",
        noun="picture",
        generator=generator,
        generate=generator.generate_images,
        encode=partial(encoded, params=params),
        recipe=RECIPE,
        metadata={"mark": SOURCE_TYPE} if params.mark else {},
        caption_metrics=partial(truncation_metrics, generator.tokenizers),
    )


def _within_limit(captions: pd.DataFrame, params: Images) -> pd.DataFrame:
    """The captions whose pictures fit `params.limit`, first uids first, so that a higher limit only adds captions."""
    if params.limit is None:
        return captions
    each = min(params.draft.keep, params.candidates) if params.draft else params.candidates
    if params.limit < each:
        raise ValueError(
            f"params.yaml: images.limit must be at least the {each} pictures of a caption, got {params.limit}"
        )
    return captions.sort_values("uid", ignore_index=True).head(params.limit // each)


def encoded(picture: np.ndarray, params: Images) -> dict[str, bytes]:
    """A picture with values in [0, 1] as a file of `params.format`; ValueError for an invalid picture."""
    if not np.isfinite(picture).all():
        raise ValueError("the picture holds values that are not finite")
    pixels = (picture * 255).round().astype(np.uint8)  # as in diffusers
    if (pixels == pixels[0, 0]).all():
        raise ValueError("the picture has one flat colour")
    options: dict[str, Any] = {}
    if params.format == "png":
        options["pnginfo"] = PngInfo()
        if params.mark:
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", PACKET)
    elif params.mark:
        options["xmp"] = PACKET.encode()
    options |= {"lossless": True} if params.quality is None else {"quality": params.quality}  # PNG ignores it
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if params.format == "jpg" else params.format, **options)
    return {params.format: buffer.getvalue()}
