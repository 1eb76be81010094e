"""From curated captions to data/images: candidates painted by the generator, kept as lossless pictures."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthpairs.core.schema import DRAFTS
from synthpairs.core.storage import write_table
from synthpairs.generation.batch import Craft
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import RECIPE, Images
from synthpairs.generation.diffusion.prompts import count_cut

# IPTC's word for pictures made by a model that learnt from sampled content, in the property that IPTC gives to it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# An XMP packet (ISO 16684-1, 7.3); read-only, so no room is left for changes in place.
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


def make_images(captions: pd.DataFrame, params: Images, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, a picture to a sample; returns metrics, tracked and not.

    With drafts also drafts.parquet, a row for every candidate that was considered.
    """
    if captions.empty:
        raise ValueError("data/captions/kept.parquet holds no caption: loosen the filters in params.yaml (captions)")
    within = _within_limit(captions, params)
    drafts, only = None, None
    if params.draft:
        from synthpairs.generation.diffusion.drafts import drafted  # and with it open_clip

        drafts = drafted(within, params)
        only = {row["key"] for row in drafts if row["painted"]}
    metrics, volatile = make_candidates(within, partial(picture_craft, params), out, only)
    if len(within) < len(captions):
        metrics["captions_beyond_limit"] = len(captions) - len(within)
    (out / "drafts.parquet").unlink(missing_ok=True)
    if drafts is not None:
        write_table(out / "drafts.parquet", drafts, DRAFTS)
        metrics["drafts"] = len(drafts)
        metrics["drafts_failed"] = sum(row["error"] is not None for row in drafts)
        metrics["drafts_dropped"] = sum(not row["painted"] for row in drafts)
    return metrics, volatile


def picture_craft(params: Images) -> Craft:
    """How pictures are made."""
    generator = Generator(params)
    return Craft(
        stage="images",
        noun="picture",
        generator=generator,
        make=generator.paint,
        encode=partial(encoded, extension=params.format, marked=params.mark),
        told={},
        recipe=RECIPE,
        added={"mark": SOURCE_TYPE} if params.mark else {},
        count=partial(count_cut, generator.readers),
    )


def _within_limit(captions: pd.DataFrame, params: Images) -> pd.DataFrame:
    """As many captions as there may be pictures of, by uid, so that a higher limit adds captions and takes none away."""
    if params.limit is None:
        return captions
    each = min(params.draft.keep, params.candidates) if params.draft else params.candidates
    if params.limit < each:
        raise ValueError(
            f"params.yaml: images.limit must be at least the {each} pictures of a caption, got {params.limit}"
        )
    return captions.sort_values("uid", ignore_index=True).head(params.limit // each)


def encoded(picture: np.ndarray, extension: str, marked: bool) -> dict[str, bytes]:
    """The picture, values in [0, 1], as a lossless file, marked as made by a model or not; ValueError says why it is none."""
    if not np.isfinite(picture).all():
        raise ValueError("the picture holds values that are not finite")
    pixels = (picture * 255).round().astype(np.uint8)  # as diffusers does it
    if (pixels == pixels[0, 0]).all():
        raise ValueError("the picture has one flat colour")
    buffer = io.BytesIO()
    if extension == "webp":
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, **({"xmp": PACKET.encode()} if marked else {}))
    else:
        chunk = PngInfo()
        if marked:
            chunk.add_itxt("XML:com.adobe.xmp", PACKET)
        Image.fromarray(pixels).save(buffer, "PNG", pnginfo=chunk)
    return {extension: buffer.getvalue()}
