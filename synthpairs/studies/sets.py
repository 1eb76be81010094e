"""The pairs of a training set, with their pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.images.make import make_images
from synthpairs.images.params import Images
from synthpairs.pairs import with_pictures
from synthpairs.selection.arms import make_arm
from synthpairs.selection.make import with_scores
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import hash_score, ordered, rank_candidates, select_top_k
from synthpairs.storage import Slice, read_table
from synthpairs.studies.params import TrainingSet

SPARE = 1.05  # captions that are painted for each pair of an uncurated set: some have no picture that can be made


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the sets are drawn from: the pipeline's data, how it selects, and how it paints."""

    data: Path
    select: Select
    images: Images

    def pairs(self, chosen: TrainingSet, seed: int, work: Path) -> Iterator[tuple[str, str, Slice | bytes]]:
        """(key, caption, encoded picture) of each row of `table`."""
        return with_pictures(self.table(chosen, seed, work), work if chosen.way == "uncurated" else self.data)

    def table(self, chosen: TrainingSet, seed: int, work: Path) -> pd.DataFrame:
        """The set's pairs, rows with the columns of PAIRS; what must be painted for it is painted in `work`.

        `seed` decides what is drawn at random, which is nothing for a strategy that ranks by score. ValueError when there
        are too few pairs to choose from, FileNotFoundError when the pipeline has not run yet.
        """
        select = replace(self.select, strategy="top", k=chosen.k, seed=seed)
        if chosen.way == "uncurated":
            return self._uncurated(select, work)
        if chosen.way != "real":
            select = replace(select, strategy=chosen.way)
        manifest = read_table(self.data / "images/manifest.parquet", "dvc repro images")
        candidates = with_scores(manifest, read_table(self.data / "scores/scores.parquet", "dvc repro scores"))
        best = select_top_k(rank_candidates(candidates, select)[0], select)
        if chosen.way != "real":
            return best.assign(origin="synthetic")
        kept, rejected = (self._captions(name) for name in ("kept", "rejected"))
        pairs, counts = make_arm("real", best, candidates, kept, rejected, select)
        if counts["pairs"] < chosen.k:
            raise ValueError(
                f"{self.data}/captions: {counts['pairs']} captions have an original, {chosen.k} are needed"
            )
        return pairs

    def _captions(self, name: str) -> pd.DataFrame:
        table = read_table(self.data / f"captions/{name}.parquet", "dvc repro captions")
        return table.assign(pictured=table["original"].notna()).drop(columns="original")

    def _uncurated(self, select: Select, work: Path) -> pd.DataFrame:
        """Pictures painted for captions that are drawn from all that were read, whatever the filters said of them."""
        everything = pd.concat([self._captions(name) for name in ("kept", "rejected")], ignore_index=True)
        everything = everything.drop_duplicates("uid")
        shuffled = ordered(
            everything.assign(key=everything["uid"], score=hash_score(everything["uid"], select.seed, "study")),
            "ascending",
        )
        drawn = shuffled.head(round(select.k * SPARE))
        make_images(drawn[["uid", "text", "concept"]].reset_index(drop=True), self.images, work / "images")
        painted = read_table(work / "images/manifest.parquet", "dvc repro images")
        first = painted.set_index("uid").loc[[uid for uid in drawn["uid"] if uid in set(painted["uid"])]]
        chosen = first[first["number"] == 0].reset_index().head(select.k)
        if len(chosen) < select.k:
            raise ValueError(f"{len(chosen)} of {len(drawn)} captions could be painted, {select.k} are needed")
        return chosen.assign(origin="synthetic").sort_values("key", ignore_index=True)
