"""From the tables and shards of data/ to the folder of the page."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthpairs.arms import Arm
from synthpairs.gallery.choice import choose
from synthpairs.gallery.page import DATA, data_script, static_files
from synthpairs.gallery.params import Gallery
from synthpairs.gallery.pictures import picture_files
from synthpairs.gallery.rows import read_rows
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes

PICTURES = "pictures"


def make_gallery(params: Gallery, select: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict[str, Any]:
    """Write `out` (index.html, its scripts and style, data.js, pictures/) from `data`; returns metrics.

    Files that are no longer of the page are removed. Equal inputs give equal bytes.
    """
    every = read_rows(data, arms, select)
    rows = choose(every, params)
    written: set[Path] = set()

    def write(name: str, payload: bytes) -> None:
        if (path := out / name) not in written:
            write_bytes(path, payload)
            written.add(path)

    pictures: dict[str, str] = {}
    for row, name, payload in picture_files(rows, data / "images", params):
        write(f"{PICTURES}/{name}", payload)
        pictures[row] = name
    counts = {kind: {"all": len(every[kind]), "shown": len(rows[kind])} for kind in every}
    about = {"counts": counts, "limit": params.limit, "select": asdict(select), **_models(data)}
    write(DATA, data_script(rows, pictures, about))
    for name, payload in static_files().items():
        write(name, payload)
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path not in written):
        path.unlink()
    status = Counter(status for table in rows.values() for status in table["status"])
    files = sum(path.parent.name == PICTURES for path in written)
    return counts | {"status": dict(status), "with_picture": len(pictures), "pictures": files}


def _models(data: Path) -> dict[str, str]:
    """What painted and what scored, in words."""
    paths = data / "images/generator.json", data / "scores/scorer.json"
    painter, scorer = (json.loads(path.read_text(encoding="utf-8"))["inputs"] for path in paths)
    told = f"{painter['model']} ({painter['pipeline']}, {painter['steps']} steps, guidance {painter['guidance']:g})"
    clip = f"{scorer['clip']['clip']} {scorer['clip']['pretrained'] or ''}".strip()
    return {"generator": told, "scorer": clip}
