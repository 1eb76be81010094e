"""Stage `diversity`: how evenly each caption set spreads over clusters of meaning; run by `dvc repro diversity`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes, write_json
from synthpairs.evaluation.diversity.clusters import measure_diversity, tracked_metrics
from synthpairs.evaluation.diversity.figure import shares_figure
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.evaluation.diversity.sets import read_sets
from synthpairs.models.sentence_encoder import load
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/diversity.json")
def main(diversity: Diversity) -> Result:
    """Write reports/diversity.json and the picture beside it."""
    sets = read_sets(diversity.sets, Path("data"))
    encoder = load(diversity.encoder, diversity.batch_size)
    results = measure_diversity(sets, diversity, encoder.embed) | {"encoder": encoder.inputs}
    write_json(Path("reports/diversity.json"), results)
    write_bytes(Path("reports/diversity.png"), shares_figure(results))
    return tracked_metrics(results)


if __name__ == "__main__":
    run_stage(main)
