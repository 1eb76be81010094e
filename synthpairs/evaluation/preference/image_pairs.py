"""Image pairs: a generated and a real image of one caption.

Both images have the same caption because a model's P(yes) depends on how likely the caption itself is, so scores of two
captions cannot be compared (VQAScore, arXiv 2404.01291, ranks images within one text), and people shown two texts judge
the texts. The caption describes the real image, which favours the real one.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from synthpairs.core.images import decode_image
from synthpairs.core.schema import COUPLES, digest
from synthpairs.core.storage import read_bytes, read_table, write_table
from synthpairs.evaluation.preference.params import Preference
from synthpairs.selection.training_pairs import with_pictures

TABLE = Path("couples.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePair:
    """A row of COUPLES."""

    couple: str  # id of the pair
    text: str
    concept: str
    synthetic_key: str
    real_key: str
    synthetic: bytes
    real: bytes

    @property
    def cluster(self) -> str:
        """Cluster of its verdicts: the concept, or the pair itself if it has none."""
        return self.concept or self.couple


def draw_image_pairs(params: Preference, data: Path) -> list[ImagePair]:
    """At most `params.count` captions, by hash, that have an image in both arms; there may be none."""
    synthetic, real = (
        read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select") for arm in (params.synthetic, "real")
    )
    synthetic = synthetic.sort_values("key").drop_duplicates("uid")  # one candidate of a caption
    both = synthetic.merge(real[["uid", "key"]], on="uid", suffixes=("", "_real"))
    both["order"] = [digest("preference", params.seed, uid) for uid in both["uid"]]
    both = both.sort_values("order").head(params.count)
    images = [_images(table[table["uid"].isin(both["uid"])], data, params.image_size) for table in (synthetic, real)]
    return [
        ImagePair(
            couple=digest("couple", row["key"], row["key_real"]),
            text=row["text"],
            concept=row["concept"] or "",
            synthetic_key=row["key"],
            real_key=row["key_real"],
            synthetic=images[0][row["key"]],
            real=images[1][row["key_real"]],
        )
        for row in both.to_dict("records")
    ]


def write_image_pairs(image_pairs: Sequence[ImagePair], out: Path) -> None:
    """Write the table of the image pairs to `out`, deterministic."""
    write_table(out / TABLE, [{name: getattr(pair, name) for name in COUPLES.names} for pair in image_pairs], COUPLES)


def read_image_pairs(folder: Path) -> list[ImagePair]:
    """The pairs that the stage drew, in order; FileNotFoundError if the stage has not run."""
    return [ImagePair(**row) for row in read_table(folder / TABLE, "dvc repro preference").to_dict("records")]


def _images(pairs: pd.DataFrame, data: Path, side: int) -> dict[str, bytes]:
    """PNG by key, no larger than `side`, re-encoded without metadata, which would reveal generated images."""
    images = {}
    for key, _, source in with_pictures(pairs, data):
        image = decode_image(read_bytes(source))
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        Image.frombytes("RGB", image.size, image.tobytes()).save(buffer, "PNG")
        images[key] = buffer.getvalue()
    return images
