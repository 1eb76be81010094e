"""Stage `scores`: CLIP cosine and SSIM of every candidate picture; run by `dvc repro scores`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import score_images


@stage(metrics="reports/metrics/scores.json")
def main(scores: Scores) -> Result:
    """Write data/scores."""
    manifest = read_table(Path("data/images/manifest.parquet"), "dvc repro images")
    return score_images(manifest, scores, Path("data/images"), Path("data/scores"))


if __name__ == "__main__":
    run_stage(main)
