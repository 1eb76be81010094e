"""Stage `distributions`: synthetic beside real pairs, and what rankings prefer; run by `dvc repro distributions`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes, write_json
from synthpairs.evaluation.distributions.figure import distributions_figure
from synthpairs.evaluation.distributions.make import make_distributions
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.results import tracked_metrics
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select


@stage(metrics="reports/metrics/distributions.json")
def main(distributions: Distributions, scores: Scores, select: Select) -> Result:
    """Write data/distributions, reports/distributions.json and the picture beside it."""
    out = Path("data/distributions")
    results, drawn, volatile = make_distributions(distributions, scores, select, Path("data"), out)
    write_json(Path("reports/distributions.json"), results)
    write_bytes(Path("reports/distributions.png"), distributions_figure(drawn))
    return tracked_metrics(results), volatile


if __name__ == "__main__":
    run_stage(main)
