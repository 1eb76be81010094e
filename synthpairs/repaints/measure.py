"""Every painting through scores, selection and the measures of stage `distributions`, as if it were the main run's."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.distributions.make import make_distributions
from synthpairs.distributions.params import Distributions
from synthpairs.images.make import make_images
from synthpairs.images.params import Images
from synthpairs.repaints.params import Repaints
from synthpairs.schema import CANDIDATES, SCORES, SELECTED
from synthpairs.scores.params import Scores
from synthpairs.scores.score import score_images
from synthpairs.selection.make import read_candidates
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.storage import read_table, write_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sections that a painting depends on, and where the pipeline's data lies."""

    repaints: Repaints
    data: Path  # the pipeline's
    images: Images
    scores: Scores
    select: Select
    distributions: Distributions


def measure_paintings(setting: Setting) -> list[dict[str, Any]]:
    """What `make_distributions` says of each painting: the candidates of number 0 of all captions, those of number 1, ...

    A candidate's number decides its noise, so a painting is what `images.candidates: 1` gives under another seed.
    """
    captions = read_table(setting.data / "captions/kept.parquet", "dvc repro captions")
    folder = Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        every = Path(work) / "every"
        make_images(captions, replace(setting.images, candidates=setting.repaints.paintings), every / "images")
        manifest = read_table(every / "images/manifest.parquet", "dvc repro images")
        score_images(manifest, setting.scores, every / "images", every / "scores")
        return [_told(painting, setting) for painting in _paintings(manifest, every, setting)]


def _paintings(manifest: pd.DataFrame, every: Path, setting: Setting) -> Iterator[Path]:
    """Folders that hold what `data` holds, each with one painting's pictures, scores and selection."""
    scores = read_table(every / "scores/scores.parquet", "dvc repro scores")
    for number in range(setting.repaints.paintings):
        folder, part = every.parent / str(number), manifest[manifest["number"] == number]
        write_table(folder / "images/manifest.parquet", part, CANDIDATES)
        for shard in sorted(set(part["shard"])):
            (folder / "images" / shard).symlink_to((every / "images" / shard).resolve())
        write_table(folder / "scores/scores.parquet", scores[scores["key"].isin(part["key"])], SCORES)
        (folder / "captions").symlink_to((setting.data / "captions").resolve())
        pairs = folder / "selected/pairs"
        pairs.mkdir(parents=True)
        shutil.copy(setting.data / "selected/pairs/real.parquet", pairs)
        best = select_top_k(rank_candidates(read_candidates(folder), setting.select)[0], setting.select)
        write_table(folder / "selected/selected.parquet", best, SELECTED)
        yield folder


def _told(painting: Path, setting: Setting) -> dict[str, Any]:
    results, _, _ = make_distributions(
        setting.distributions, setting.scores, setting.select, painting, painting / "distributions"
    )
    log.info("painting %s is measured", painting.name)
    return results
