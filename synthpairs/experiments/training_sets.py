"""Training sets of experiment `strategies`: which ones each study compares, and the pairs of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from synthpairs.core.storage import read_table
from synthpairs.experiments.params import Question, Strategies
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.selection.arms import make_arm
from synthpairs.selection.candidates import read_candidates, read_captions
from synthpairs.selection.params import Select, Strategy
from synthpairs.selection.ranking import hash_score, ordered, rank_candidates, select_top_k

SPARE = 1.05  # captions that are painted for each pair of a set: some have no picture that can be made
Way = Strategy | Literal["balanced", "real", "uncurated", "guidance"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """`k` pairs, chosen in one way: by a strategy of `select` from all candidates; `balanced`: the best by score, so many of
    each concept; `real` pictures with their reference captions; pictures painted for captions that no filter has
    passed (`uncurated`); or painted anew for the captions of `random`, under another `guidance`.
    """

    way: Way
    k: int
    guidance: float | None = None

    def __str__(self) -> str:
        return f"{self.way}-{self.k if self.guidance is None else f'{self.guidance:g}'}"


def plan_studies(params: Strategies, k: int) -> Mapping[Question, Sequence[TrainingSet]]:
    """The sets of each study, which are compared with the first of them; `k` is the size of the selection.

    ValueError when a size is not below `k`.
    """
    if any(size >= k for size in params.sizes):
        raise ValueError(f"params.yaml: experiments.strategies.sizes must be below select.k ({k}), got {params.sizes}")

    def of(*ways: Way) -> list[TrainingSet]:
        return [TrainingSet(way, k) for way in ways]

    ways: tuple[Way, Way] = ("top", "real")
    smaller = [TrainingSet(way, size) for way in ways for size in params.sizes]
    return {
        "selection": of(*get_args(Strategy), "balanced"),
        "ablation": of("top", "random", "balanced", "uncurated", "real"),
        "size": [*of("top"), *smaller, *of("real")],
        "guidance": [*of("random"), *(TrainingSet("guidance", k, scale) for scale in params.guidances)],
        "style": of("top", "random", "balanced", "real"),
    }


def make_pairs(
    chosen: TrainingSet, data: Path, select: Select, images: Images, per_concept: int, work: Path
) -> tuple[pd.DataFrame, Path]:
    """The set's pairs, rows with the columns of PAIRS, and the folder that holds their pictures as `data` holds those of arms.

    What must be painted is painted in `work`. `per_concept`: pairs at most, of a set `balanced`. `select.seed` decides what is
    drawn at random, which is nothing for a strategy that ranks by score. ValueError when there are too few pairs to choose from,
    FileNotFoundError when the pipeline has not run yet.
    """
    k = chosen.k
    if chosen.way == "uncurated":  # whatever the filters said of a caption
        captions = pd.concat(read_captions(data), ignore_index=True).drop_duplicates("uid")
        keyed = captions.assign(key=captions["uid"], score=hash_score(captions["uid"], select.seed, "study"))
        return _paint(ordered(keyed, "ascending"), k, images, work), work
    select = replace(select, strategy="top", k=k)
    if chosen.way == "balanced":
        select = replace(select, per_concept=per_concept)
    elif chosen.way == "guidance":
        select = replace(select, strategy="random")
    elif chosen.way != "real":
        select = replace(select, strategy=chosen.way)
    candidates = read_candidates(data)
    pool = rank_candidates(candidates, select)[0]
    if chosen.way == "guidance":
        assert chosen.guidance is not None
        return _paint(pool.drop_duplicates("uid"), k, replace(images, guidance=chosen.guidance), work), work
    best = select_top_k(pool, select)
    if len(best) < k:
        raise ValueError(f"{data}/scores: {len(best)} candidates compete, {k} are needed")
    if chosen.way != "real":
        return best.assign(origin="synthetic"), data
    pairs, counts = make_arm("real", best, candidates, *read_captions(data), select)
    if counts["pairs"] < k:
        raise ValueError(f"{data}/captions: {counts['pairs']} captions have an original, {k} are needed")
    return pairs, data


def _paint(captions: pd.DataFrame, k: int, images: Images, work: Path) -> pd.DataFrame:
    """Pairs of the first `k` captions that can be painted, a picture for each."""
    captions = captions.head(round(k * SPARE)).reset_index(drop=True)
    make_images(captions[["uid", "text", "concept"]], images, work / "images")
    painted = read_table(work / "images/manifest.parquet", "dvc repro images")
    first = painted[painted["number"] == 0].set_index("uid")
    pairs = first.loc[[uid for uid in captions["uid"] if uid in first.index]].reset_index().head(k)
    if len(pairs) < k:
        raise ValueError(f"{len(pairs)} of {len(captions)} captions could be painted, {k} are needed")
    return pairs.assign(origin="synthetic").sort_values("key", ignore_index=True)
