"""Experiment `noise_seeds`: distributions of images generated for the main run's captions under several noise seeds."""

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
from synthpairs.generation.candidates import CAPTION_COLUMNS
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import score_images
from synthpairs.selection.candidate_tables import read_candidates
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSeedsConfig:
    """Sections of params.yaml that the images and their measures depend on, and the pipeline's data folder."""

    noise_seeds: NoiseSeeds
    images: Images
    scores: Scores
    select: Select
    distributions: Distributions
    data: Path


def measure_noise_seeds(config: NoiseSeedsConfig) -> dict[str, Any]:
    """{paintings: [results of `make_distributions`]}, of the candidates with number 0 of all captions, number 1, ...

    A candidate's number seeds its noise, so the candidates of one number are one noise seed's images.
    """
    captions = read_table(config.data / "captions/kept.parquet", "dvc repro captions", CAPTION_COLUMNS)
    parent = Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as work:
        together = Path(work) / "every"
        make_images(captions, replace(config.images, candidates=config.noise_seeds.num_seeds), together / "images")
        manifest = read_table(together / "images/manifest.parquet", "dvc repro images")
        score_images(manifest, config.scores, together / "images", together / "scores")
        scores = read_table(together / "scores/scores.parquet", "dvc repro scores")
        results = []
        for number, rows in manifest.groupby("number"):
            folder = Path(work) / str(number)
            _write_data(rows, scores[scores["key"].isin(rows["key"])], together, folder, config)
            out = folder / "distributions"
            results.append(make_distributions(config.distributions, config.scores, config.select, folder, out)[0])
            log.info("noise seed %s is measured", number)
    return {"paintings": results}


def _write_data(
    manifest: pd.DataFrame, scores: pd.DataFrame, together: Path, folder: Path, config: NoiseSeedsConfig
) -> None:
    """Write a copy of the pipeline's data to `folder`, with the images, scores and selection of one noise seed."""
    write_table(folder / "images/manifest.parquet", manifest, CANDIDATES)
    for shard in sorted(set(manifest["shard"])):
        (folder / "images" / shard).symlink_to((together / "images" / shard).resolve())
    write_table(folder / "scores/scores.parquet", scores, SCORES)
    (folder / "captions").symlink_to((config.data / "captions").resolve())
    (folder / "selection/pairs").mkdir(parents=True)
    shutil.copy(config.data / "selection/pairs/real.parquet", folder / "selection/pairs")
    best = rank_candidates(read_candidates(folder), config.select)[0].head(config.select.num_pairs)
    write_table(folder / "selection/selected.parquet", best, SELECTED)
