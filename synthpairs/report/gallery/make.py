"""Gallery: static page of the pairs with their images and scores, from the tables and shards of data/.

One WebP file per image instead of sheets: rows can be in any order, a browser decodes only visible images, and single files
can be saved and linked.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from synthpairs.core.arms import Arm
from synthpairs.core.images import image_or_error
from synthpairs.core.storage import read_shard, write_bytes
from synthpairs.report.gallery.page import DATA, STATIC, data_script
from synthpairs.report.gallery.params import Gallery
from synthpairs.report.gallery.rows import choose, read_rows
from synthpairs.selection.params import Select

IMAGES = "pictures"
_EFFORT = 6  # libwebp's slowest method, which makes the smallest files


def make_gallery(params: Gallery, select: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict[str, Any]:
    """Write `out` (index.html, its scripts and style, data.js, pictures/) from `data`; returns metrics.

    Other files in `out` are deleted. Equal inputs give equal bytes.
    """
    every = read_rows(data, arms, select)
    rows = choose(every, params)
    images: dict[str, str] = {}
    for row, name, payload in image_files(rows, data / "images", params):
        write_bytes(out / IMAGES / name, payload)
        images[row] = name
    counts = {kind: {"all": len(every[kind]), "shown": len(rows[kind])} for kind in every}
    about = {"counts": counts, "limit": params.limit, "select": asdict(select), **_models(data)}
    files = {name: (Path(__file__).parent / name).read_bytes() for name in STATIC}
    for name, payload in (files | {DATA: data_script(rows, images, about)}).items():
        write_bytes(out / name, payload)
    current = {out / name for name in (*STATIC, DATA, *(f"{IMAGES}/{name}" for name in images.values()))}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path not in current):
        path.unlink()
    status = Counter(status for table in rows.values() for status in table["status"])
    return counts | {"status": dict(status), "with_picture": len(images), "pictures": len(set(images.values()))}


def image_files(rows: dict[str, pd.DataFrame], images: Path, params: Gallery) -> Iterator[tuple[str, str, bytes]]:
    """(kind:id, file name, WebP) of every row that has an image; the name is a hash, so equal images share a file.

    An image that cannot be decoded is left out, so that one bad file does not fail the page.
    """
    for row, payload in _payloads(rows, images):
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


def _payloads(rows: dict[str, pd.DataFrame], images: Path) -> Iterator[tuple[str, bytes]]:
    for kind, table in rows.items():
        if kind != "candidate":
            for row, original in zip(table["id"], table["original"], strict=True):
                if original is not None:
                    yield f"{kind}:{row}", original
            continue
        for shard, group in table.groupby("shard"):
            path, wanted = images / str(shard), set(group["id"])
            if not path.exists():
                raise FileNotFoundError(f"{path} is missing: run `dvc repro images` first")
            for key, members in read_shard(path):
                if key in wanted:
                    yield f"{kind}:{key}", members.get("png") or members.get("webp") or b""


def _models(data: Path) -> dict[str, str]:
    """Descriptions of the generator and the scorer."""
    paths = data / "images/generator.json", data / "scores/scorer.json"
    generator, scorer = (json.loads(path.read_text(encoding="utf-8"))["inputs"] for path in paths)
    settings = f"{generator['pipeline']}, {generator['steps']} steps, guidance {generator['guidance']:g}"
    clip = f"{scorer['clip']['clip']} {scorer['clip']['pretrained'] or ''}".strip()
    return {"generator": f"{generator['model']} ({settings})", "scorer": clip}
