"""Experiment `noise_seeds`: the main run's captions painted with other noise, each painting measured as the main run's is."""

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.core.schema import CANDIDATES, SCORES, SELECTED
from synthpairs.core.storage import read_table, write_table
from synthpairs.evaluation.distributions.make import make_distributions
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.experiments.params import NoiseSeeds
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import score_images
from synthpairs.selection.candidates import read_candidates
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSeedsSetting:
    """The sections that a painting depends on, and where the pipeline's data lies."""

    noise_seeds: NoiseSeeds
    images: Images
    scores: Scores
    select: Select
    distributions: Distributions
    data: Path


def measure_noise_seeds(setting: NoiseSeedsSetting) -> dict[str, Any]:
    """{paintings: [what `make_distributions` gives]}: of the candidates of number 0 of all captions, those of number 1, ...

    A candidate's number decides its noise, so a painting is what `images.candidates: 1` gives under another seed.
    """
    captions = read_table(setting.data / "captions/kept.parquet", "dvc repro captions")
    parent = Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as work:
        every = Path(work) / "every"
        make_images(captions, replace(setting.images, candidates=setting.noise_seeds.paintings), every / "images")
        manifest = read_table(every / "images/manifest.parquet", "dvc repro images")
        score_images(manifest, setting.scores, every / "images", every / "scores")
        scores = read_table(every / "scores/scores.parquet", "dvc repro scores")
        paintings = []
        for number, rows in manifest.groupby("number"):
            folder = Path(work) / str(number)
            _separate(rows, scores[scores["key"].isin(rows["key"])], every, folder, setting)
            results, _, _ = make_distributions(
                setting.distributions, setting.scores, setting.select, folder, folder / "distributions"
            )
            paintings.append(results)
            log.info("painting %s is measured", number)
    return {"paintings": paintings}


def _separate(
    manifest: pd.DataFrame, scores: pd.DataFrame, every: Path, folder: Path, setting: NoiseSeedsSetting
) -> None:
    """Make `folder` hold what the pipeline's data does, with one painting's pictures, scores and selection."""
    write_table(folder / "images/manifest.parquet", manifest, CANDIDATES)
    for shard in sorted(set(manifest["shard"])):
        (folder / "images" / shard).symlink_to((every / "images" / shard).resolve())
    write_table(folder / "scores/scores.parquet", scores, SCORES)
    (folder / "captions").symlink_to((setting.data / "captions").resolve())
    (folder / "selection/pairs").mkdir(parents=True)
    shutil.copy(setting.data / "selection/pairs/real.parquet", folder / "selection/pairs")
    best = select_top_k(rank_candidates(read_candidates(folder), setting.select)[0], setting.select)
    write_table(folder / "selection/selected.parquet", best, SELECTED)
