"""Training sets of experiment `strategies`: the sets that each study compares, and their pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from synthpairs.core.storage import read_table
from synthpairs.experiments.params import Strategies, Study
from synthpairs.generation.candidates import CAPTION_COLUMNS
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.selection.arms import make_training_pairs
from synthpairs.selection.candidate_tables import read_candidates, read_captions
from synthpairs.selection.params import Select, Strategy
from synthpairs.selection.ranking import hash_score, rank_candidates, sort_by_score

SPARE = 1.05  # captions for which images are generated, per pair of a set: some fail
Method = Strategy | Literal["balanced", "real", "uncurated", "guidance"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """`k` pairs, chosen by one method.

    A strategy of `select` from all candidates; `balanced`: the best by score with a limit for each concept; `real`:
    real images with their captions; `uncurated`: images generated for unfiltered captions; `guidance`: images generated
    with another guidance scale for the captions of `random`.
    """

    method: Method
    k: int
    guidance: float | None = None

    def __str__(self) -> str:
        return f"{self.method}-{self.k if self.guidance is None else f'{self.guidance:g}'}"


def plan_studies(params: Strategies, k: int) -> Mapping[Study, Sequence[TrainingSet]]:
    """Sets of each study, compared with its first one; `k` is the size of the main run's selection, above all sizes."""
    if any(size >= k for size in params.sizes):
        raise ValueError(
            f"params.yaml: experiments.strategies.sizes must be below select.num_pairs ({k}), got {params.sizes}"
        )

    def sets(*methods: Method) -> list[TrainingSet]:
        return [TrainingSet(method, k) for method in methods]

    methods: tuple[Method, Method] = ("top", "real")
    smaller = [TrainingSet(method, size) for method in methods for size in params.sizes]
    return {
        "selection": sets(*get_args(Strategy), "balanced"),
        "ablation": sets("top", "random", "balanced", "uncurated", "real"),
        "size": [*sets("top"), *smaller, *sets("real")],
        "guidance": [*sets("random"), *(TrainingSet("guidance", k, scale) for scale in params.guidance_scales)],
        "style": sets("top", "random", "balanced", "real"),
    }


def make_pairs(
    chosen: TrainingSet, data: Path, select: Select, images: Images, per_concept: int, work: Path
) -> tuple[pd.DataFrame, Path]:
    """The set's pairs with the columns of PAIRS, and the folder of their images, laid out as `data`: `data` or `work`.

    Images are generated in `work` if need be. `per_concept` limits the pairs of a concept in a set `balanced`.
    `select.seed` seeds random methods; those that rank by score do not depend on it. ValueError when there are too few
    pairs to choose from, FileNotFoundError when the pipeline has not run.
    """
    k = chosen.k
    if chosen.method == "uncurated":  # kept and rejected captions alike
        captions = pd.concat(read_captions(data), ignore_index=True).drop_duplicates("uid")
        keyed = captions.assign(key=captions["uid"], score=hash_score(captions["uid"], select.seed, "study"))
        return _generate(sort_by_score(keyed, "ascending"), k, images, work), work
    select = replace(select, strategy="top", num_pairs=k)
    if chosen.method == "balanced":
        select = replace(select, per_concept=per_concept)
    elif chosen.method == "guidance":
        select = replace(select, strategy="random")
    elif chosen.method != "real":
        select = replace(select, strategy=chosen.method)
    candidates = read_candidates(data)
    pool = rank_candidates(candidates, select)[0]
    if chosen.method == "guidance":
        assert chosen.guidance is not None
        return _generate(pool.drop_duplicates("uid"), k, replace(images, guidance_scale=chosen.guidance), work), work
    best = pool.head(select.num_pairs)
    if len(best) < k:
        raise ValueError(f"{data}/scores: {len(best)} candidates compete, {k} are needed")
    if chosen.method != "real":
        return best.assign(origin="synthetic"), data
    pairs, counts = make_training_pairs("real", best, candidates, *read_captions(data), select)
    if counts["pairs"] < k:
        raise ValueError(f"{data}/captions: {counts['pairs']} captions have an original, {k} are needed")
    return pairs, data


def _generate(captions: pd.DataFrame, k: int, images: Images, work: Path) -> pd.DataFrame:
    """Pairs of the first `k` captions for which an image could be generated."""
    captions = captions.head(round(k * SPARE)).reset_index(drop=True)
    make_images(captions[list(CAPTION_COLUMNS)], images, work / "images")
    generated = read_table(work / "images/manifest.parquet", "dvc repro images")
    first = generated[generated["number"] == 0].set_index("uid")
    pairs = first.loc[[uid for uid in captions["uid"] if uid in first.index]].reset_index().head(k)
    if len(pairs) < k:
        raise ValueError(f"images could be generated for {len(pairs)} of {len(captions)} captions, {k} are needed")
    return pairs.assign(origin="synthetic").sort_values("key", ignore_index=True)
