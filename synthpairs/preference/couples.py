"""Couples: a generated and a real picture of one caption, and for each couple a picture that the caption is not about.

Both pictures answer the same words: how likely a caption is by itself moves a model's P(yes), so that scores for two captions
cannot be compared (VQAScore, arXiv 2404.01291, ranks pictures within one text), and people asked about two texts judge the texts.
The caption describes the real picture, which is the harder side to beat.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from synthpairs.pairs import with_pictures
from synthpairs.preference.params import Preference
from synthpairs.schema import COUPLES, digest
from synthpairs.storage import Slice, read_bytes, read_table, write_table

TABLE = Path("couples.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Couple:
    """A row of COUPLES."""

    couple: str
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


def draw_couples(params: Preference, data: Path) -> list[Couple]:
    """Captions that have a picture in both arms, `params.count` of them by hash; there may be few, or none."""
    arms = {
        arm: read_table(data / f"selected/pairs/{arm}.parquet", "dvc repro select")
        for arm in (params.synthetic, "real")
    }
    synthetic, real = arms[params.synthetic], arms["real"]
    synthetic = synthetic.sort_values("key").drop_duplicates("uid")  # one candidate of a caption
    both = synthetic.merge(real[["uid", "key"]], on="uid", suffixes=("", "_real"))
    both["order"] = [digest("preference", params.seed, uid) for uid in both["uid"]]
    both = both.sort_values("order").head(params.count)
    painted = _plain(synthetic[synthetic["uid"].isin(both["uid"])], data, params.side)
    drawn = _plain(real[real["uid"].isin(both["uid"])], data, params.side)
    return [
        Couple(
            couple=digest("couple", row["key"], row["key_real"]),
            text=row["text"],
            concept=row["concept"] or "",
            synthetic_key=row["key"],
            real_key=row["key_real"],
            synthetic=painted[row["key"]],
            real=drawn[row["key_real"]],
        )
        for row in both.to_dict("records")
    ]


def strangers(couples: Sequence[Couple]) -> list[Couple | None]:
    """For each couple the next one whose caption is about something else; None where there is none.

    What it shows does not fit the first one's caption, which makes the question that judges are tested with.
    """
    return [
        next((other for other in (*couples[place + 1 :], *couples[:place]) if _apart(couple, other)), None)
        for place, couple in enumerate(couples)
    ]


def write_couples(couples: Sequence[Couple], out: Path) -> None:
    """Write `out`/couples.parquet; equal couples give equal bytes."""
    rows = [{name: getattr(couple, name) for name in COUPLES.names} for couple in couples]
    write_table(out / TABLE, rows, COUPLES)


def read_couples(folder: Path) -> list[Couple]:
    """The couples that the stage drew, in drawn order; FileNotFoundError says how to get them."""
    rows = read_table(folder / TABLE, "dvc repro preference").to_dict("records")
    return [Couple(**{str(name): value for name, value in row.items()}) for row in rows]


def _apart(one: Couple, other: Couple) -> bool:
    if not one.concept:
        return one.text != other.text
    return one.concept != other.concept and one.concept.casefold() not in other.text.casefold()


def _plain(pairs: pd.DataFrame, data: Path, side: int) -> dict[str, bytes]:
    """The pictures by key, drawn anew as PNG: no metadata (files of generated ones say so), no larger than `side`."""
    return {key: _redrawn(picture, side) for key, _, picture in with_pictures(pairs, data)}


def _redrawn(picture: Slice | bytes, side: int) -> bytes:
    image = Image.open(io.BytesIO(read_bytes(picture))).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    Image.frombytes("RGB", image.size, image.tobytes()).save(buffer, "PNG")
    return buffer.getvalue()
