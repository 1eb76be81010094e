"""Image pairs: a generated and a real image of one caption, and for each pair another one that its caption does not match.

Both images answer the same words: how likely a caption is by itself moves a model's P(yes), so that scores for two captions
cannot be compared (VQAScore, arXiv 2404.01291, ranks images within one text), and people asked about two texts judge the texts.
The caption describes the real image, which is the harder side to beat.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from synthpairs.core.schema import COUPLES, digest
from synthpairs.core.storage import read_bytes, read_table, write_table
from synthpairs.evaluation.preference.params import Preference
from synthpairs.selection.pairs import with_pictures

TABLE = Path("couples.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePair:
    """A row of COUPLES."""

    couple: str  # identity
    text: str
    concept: str
    synthetic_key: str
    real_key: str
    synthetic: bytes
    real: bytes

    @property
    def cluster(self) -> str:
        """What its answer is not independent of: the concept, or itself where there is none."""
        return self.concept or self.couple


def draw_image_pairs(params: Preference, data: Path) -> list[ImagePair]:
    """Captions that have an image in both arms, `params.count` of them by hash; there may be few, or none."""
    synthetic, real = (
        read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select") for arm in (params.synthetic, "real")
    )
    synthetic = synthetic.sort_values("key").drop_duplicates("uid")  # one candidate of a caption
    both = synthetic.merge(real[["uid", "key"]], on="uid", suffixes=("", "_real"))
    both["order"] = [digest("preference", params.seed, uid) for uid in both["uid"]]
    both = both.sort_values("order").head(params.count)
    images = [_images(table[table["uid"].isin(both["uid"])], data, params.side) for table in (synthetic, real)]
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


def mismatched_pairs(image_pairs: Sequence[ImagePair]) -> list[ImagePair | None]:
    """For each pair the next one whose caption is about something else; None where there is none.

    Its images do not show the first one's caption, which makes the control question of the judges.
    """
    return [
        next((other for other in (*image_pairs[index + 1 :], *image_pairs[:index]) if _mismatch(pair, other)), None)
        for index, pair in enumerate(image_pairs)
    ]


def write_image_pairs(image_pairs: Sequence[ImagePair], out: Path) -> None:
    """Write `out`/couples.parquet; equal pairs give equal bytes."""
    write_table(out / TABLE, [{name: getattr(pair, name) for name in COUPLES.names} for pair in image_pairs], COUPLES)


def read_image_pairs(folder: Path) -> list[ImagePair]:
    """The pairs that the stage drew, in drawn order; FileNotFoundError says how to get them."""
    return [ImagePair(**row) for row in read_table(folder / TABLE, "dvc repro preference").to_dict("records")]


def _mismatch(pair: ImagePair, other: ImagePair) -> bool:
    if not pair.concept:
        return pair.text != other.text
    return pair.concept != other.concept and pair.concept.casefold() not in other.text.casefold()


def _images(pairs: pd.DataFrame, data: Path, side: int) -> dict[str, bytes]:
    """PNG by key, encoded anew: no metadata (files of generated images say so), no larger than `side`."""
    images = {}
    for key, _, payload in with_pictures(pairs, data):
        image = Image.open(io.BytesIO(read_bytes(payload))).convert("RGB")
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        Image.frombytes("RGB", image.size, image.tobytes()).save(buffer, "PNG")
        images[key] = buffer.getvalue()
    return images
