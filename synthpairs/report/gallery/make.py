"""Gallery: static page of the pairs with their images and scores, from the tables and shards of data/.

One WebP file per image instead of sheets: rows can be in any order, a browser decodes only visible images, and single files
can be saved and linked.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from synthpairs.captions.reasons import REASONS
from synthpairs.core.arms import Arm
from synthpairs.core.images import image_or_error
from synthpairs.core.storage import read_json, write_bytes
from synthpairs.report.gallery.page import DATA, STATIC, data_script
from synthpairs.report.gallery.params import Gallery
from synthpairs.report.gallery.rows import choose, read_rows
from synthpairs.selection.params import Select
from synthpairs.selection.training_pairs import CAPTION_TABLES, generated_images, originals

IMAGES = "pictures"
_EFFORT = 6  # libwebp's slowest method, which makes the smallest files


def make_gallery(params: Gallery, select: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict[str, Any]:
    """Write `out` (index.html, its scripts and style, data.js, pictures/) from `data`; returns metrics.

    Other files in `out` are deleted. Equal inputs give equal bytes.
    """
    every = read_rows(data, arms, select)
    rows = choose(every, params)
    images: dict[str, str] = {}
    for row, name, payload in image_files(rows, data, params):
        write_bytes(out / IMAGES / name, payload)
        images[row] = name
    counts = {kind: {"all": len(every[kind]), "shown": len(rows[kind])} for kind in every}
    about = {"counts": counts, "limit": params.limit, "select": asdict(select), "reasons": REASONS, **_models(data)}
    files = {name: (Path(__file__).parent / name).read_bytes() for name in STATIC}
    for name, payload in (files | {DATA: data_script(rows, images, about)}).items():
        write_bytes(out / name, payload)
    current = {out / name for name in (*STATIC, DATA, *(f"{IMAGES}/{name}" for name in images.values()))}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path not in current):
        path.unlink()
    status = Counter(status for table in rows.values() for status in table["status"])
    return counts | {"status": dict(status), "with_picture": len(images), "pictures": len(set(images.values()))}


def image_files(rows: dict[str, pd.DataFrame], data: Path, params: Gallery) -> Iterator[tuple[str, str, bytes]]:
    """(kind:id, file name, WebP) of every row that has an image; the name is a hash, so equal images share a file.

    An image that cannot be decoded is left out, so that one bad file does not fail the page.
    """
    candidates = rows["candidate"][["id", "shard"]].rename(columns={"id": "key"})
    generated = ((f"candidate:{key}", payload) for key, payload in generated_images(candidates, data))
    for row, payload in chain(generated, _originals(rows, data)):
        if encoded := encode(payload, params):
            yield row, f"{hashlib.sha256(encoded).hexdigest()[:24]}.webp", encoded


def encode(payload: bytes, params: Gallery) -> bytes | None:
    """An image as lossy WebP, at most `side` pixels wide and high; None when it cannot be decoded."""
    image = image_or_error(payload)
    if isinstance(image, str):
        return None
    image.thumbnail((params.image_size, params.image_size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=params.quality, method=_EFFORT)
    return buffer.getvalue()


def _originals(rows: dict[str, pd.DataFrame], data: Path) -> Iterator[tuple[str, bytes]]:
    """(kind:id, encoded image) of real pairs and of rejected captions, whose ids count the rows of a uid."""
    for kind, name in zip(("real", "rejected"), CAPTION_TABLES, strict=True):
        ids, counts = set(rows[kind]["id"]), Counter[str]()
        for uid, image in originals(data, set(rows[kind]["uid"]), [name]):
            row = uid if kind == "real" else f"{uid}.{counts[uid]}"
            counts[uid] += 1
            if image is not None and row in ids:
                yield f"{kind}:{row}", image


def _models(data: Path) -> dict[str, str]:
    """Descriptions of the generator and the scorer."""
    files = {"images": "generator.json", "scores": "scorer.json"}
    generator, scorer = (
        read_json(data / stage / file, f"dvc repro {stage}", ["inputs"])["inputs"] for stage, file in files.items()
    )
    settings = f"{generator['pipeline']}, {generator['steps']} steps, guidance {generator['guidance']:g}"
    clip = f"{scorer['clip']['clip']} {scorer['clip']['pretrained'] or ''}".strip()
    return {"generator": f"{generator['model']} ({settings})", "scorer": clip}
