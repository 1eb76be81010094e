"""Regeneration of one stored picture from its manifest row, and comparison with the stored file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthpairs.core.images import decode_image
from synthpairs.core.storage import read_json, read_shard, read_table
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import encoded
from synthpairs.generation.diffusion.params import Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A regenerated picture and its differences from the stored one, in colour values 0 to 255."""

    key: str
    text: str
    picture: bytes  # encoded as in the stage
    equal_bytes: bool
    largest: int
    mean: float
    share: float  # of the pixels that differ


def replay(key: str, params: Images, images: Path) -> Replay:
    """Regenerate the candidate whose key begins with `key`.

    ValueError when there is no such candidate, or when params, models or libraries differ from those that made it.
    FileNotFoundError when there are no pictures.
    """
    row = _row(key, images)
    stored = next((files for name, files in read_shard(images / row["shard"]) if name == row["key"]), None)
    if stored is None or params.format not in stored:
        raise ValueError(
            f"{images / row['shard']} holds no {params.format} of {row['key']}: run `dvc repro images` again"
        )
    generator = Generator(params)
    if generator.fingerprint != row["generator"]:
        before = read_json(images / "generator.json", "dvc repro images", ["inputs"])["inputs"]
        names = sorted(before.keys() | generator.inputs.keys())
        changed = [name for name in names if before.get(name) != generator.inputs.get(name)]
        raise ValueError(
            f"{row['key']} was made by another generator: {', '.join(changed) or 'an older one'} differ; put that back, or "
            "run `dvc repro images`"
        )
    files = encoded(generator.generate_images([row["key"]], [row["text"]])[0], params)
    payload, stored_file = files[params.format], stored[params.format]
    new, old = (np.asarray(decode_image(file)).astype(int) for file in (payload, stored_file))
    difference = np.abs(new - old)
    return Replay(
        key=row["key"],
        text=row["text"],
        picture=payload,
        equal_bytes=payload == stored_file,
        largest=int(difference.max()),
        mean=float(difference.mean()),
        share=float(difference.any(axis=-1).mean()),
    )


def _row(key: str, images: Path) -> dict[str, Any]:
    manifest = read_table(images / "manifest.parquet", "dvc repro images")
    rows = manifest[manifest["key"].str.startswith(key)]
    if len(rows) != 1:
        raise ValueError(
            f"{key!r} begins {len(rows) or 'none'} of the {len(manifest)} keys in {images}/manifest.parquet; "
            "give a whole key, as the gallery shows it, or as much as only one begins with"
        )
    return {str(name): value for name, value in rows.iloc[0].to_dict().items()}
