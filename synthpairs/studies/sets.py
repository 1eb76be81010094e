"""The pairs of a training set, with their pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.images.make import make_images
from synthpairs.images.params import Images
from synthpairs.pairs import with_pictures
from synthpairs.selection.arms import make_arm
from synthpairs.selection.make import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import hash_score, ordered, rank_candidates, select_top_k
from synthpairs.storage import Slice, read_table
from synthpairs.studies.params import TrainingSet

SPARE = 1.05  # captions that are painted for each pair of a set: some have no picture that can be made
PAINTED = ("uncurated", "guidance")  # ways whose pictures are made here


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the sets are drawn from: the pipeline's data, how it selects, and how it paints."""

    data: Path
    select: Select
    images: Images
    per_concept: int  # pairs at most, of the sets `balanced`

    def pairs(self, chosen: TrainingSet, table: pd.DataFrame, work: Path) -> Iterator[tuple[str, str, Slice | bytes]]:
        """(key, caption, encoded picture) of each row of `table`, which is `chosen`'s."""
        return with_pictures(table, work if chosen.way in PAINTED else self.data)

    def table(self, chosen: TrainingSet, seed: int, work: Path) -> pd.DataFrame:
        """The set's pairs, rows with the columns of PAIRS; what must be painted for it is painted in `work`.

        `seed` decides what is drawn at random, which is nothing for a strategy that ranks by score. ValueError when there
        are too few pairs to choose from, FileNotFoundError when the pipeline has not run yet.
        """
        if chosen.way == "uncurated":
            return self._uncurated(chosen.k, seed, work)
        if chosen.way == "guidance":
            return self._guided(chosen, seed, work)
        select = replace(self.select, strategy="top", k=chosen.k, seed=seed)
        if chosen.way == "balanced":
            select = replace(select, per_concept=self.per_concept)
        elif chosen.way != "real":
            select = replace(select, strategy=chosen.way)
        candidates = read_candidates(self.data)
        best = select_top_k(rank_candidates(candidates, select)[0], select)
        if len(best) < chosen.k:
            raise ValueError(f"{self.data}/scores: {len(best)} candidates compete, {chosen.k} are needed")
        if chosen.way != "real":
            return best.assign(origin="synthetic")
        pairs, counts = make_arm("real", best, candidates, *read_captions(self.data), select)
        if counts["pairs"] < chosen.k:
            raise ValueError(
                f"{self.data}/captions: {counts['pairs']} captions have an original, {chosen.k} are needed"
            )
        return pairs

    def _guided(self, chosen: TrainingSet, seed: int, work: Path) -> pd.DataFrame:
        """The captions of `random` with the same seed, painted under the set's own guidance."""
        assert chosen.guidance is not None
        select = replace(self.select, strategy="random", k=chosen.k, seed=seed)
        drawn = (
            rank_candidates(read_candidates(self.data), select)[0].drop_duplicates("uid").head(round(chosen.k * SPARE))
        )
        return self._painted(drawn, chosen.k, replace(self.images, guidance=chosen.guidance), work)

    def _uncurated(self, k: int, seed: int, work: Path) -> pd.DataFrame:
        """Pictures painted for captions that are drawn from all that were read, whatever the filters said of them."""
        everything = pd.concat(read_captions(self.data), ignore_index=True).drop_duplicates("uid")
        shuffled = ordered(
            everything.assign(key=everything["uid"], score=hash_score(everything["uid"], seed, "study")), "ascending"
        )
        return self._painted(shuffled.head(round(k * SPARE)), k, self.images, work)

    def _painted(self, captions: pd.DataFrame, k: int, images: Images, work: Path) -> pd.DataFrame:
        """Pairs of the first `k` captions that can be painted, a picture for each."""
        make_images(captions[["uid", "text", "concept"]].reset_index(drop=True), images, work / "images")
        painted = read_table(work / "images/manifest.parquet", "dvc repro images")
        first = painted[painted["number"] == 0].set_index("uid")
        chosen = first.loc[[uid for uid in captions["uid"] if uid in first.index]].reset_index().head(k)
        if len(chosen) < k:
            raise ValueError(f"{len(chosen)} of {len(captions)} captions could be painted, {k} are needed")
        return chosen.assign(origin="synthetic").sort_values("key", ignore_index=True)
