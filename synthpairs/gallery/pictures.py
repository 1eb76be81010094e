"""The rows' pictures as small WebP files.

One file a picture, not sheets: a view may order the rows in any way, and a browser decodes a sheet of a hundred pictures
for each one that it shows; single files are loaded as they come into sight, and can be saved and linked.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

from synthpairs.gallery.params import Gallery
from synthpairs.storage import read_shard

_EFFORT = 6  # libwebp's slowest: smaller files for a few milliseconds each


def picture_files(rows: dict[str, pd.DataFrame], images: Path, params: Gallery) -> Iterator[tuple[str, str, bytes]]:
    """(kind:id, file name, WebP) of every row that has a picture; the name is a hash of the file, so twins share one.

    A picture that cannot be decoded is left out: one bad file must not cost the page.
    """
    for row, payload in _payloads(rows, images):
        if encoded := encode(payload, params):
            yield row, f"{hashlib.sha256(encoded).hexdigest()[:24]}.webp", encoded


def encode(payload: bytes, params: Gallery) -> bytes | None:
    """A picture as lossy WebP, at most `side` pixels wide and high; None when it cannot be decoded."""
    try:
        picture = Image.open(io.BytesIO(payload)).convert("RGB")
    except Exception:  # there is no saying what a broken file makes its decoder raise
        return None
    picture.thumbnail((params.side, params.side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=params.quality, method=_EFFORT)
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
