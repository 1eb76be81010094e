"""Stage `distributions`: synthetic beside real pairs, and what rankings prefer; run by `dvc repro distributions`."""

from pathlib import Path

from synthpairs.distributions.figure import distributions_figure
from synthpairs.distributions.make import make_distributions
from synthpairs.distributions.page import headline
from synthpairs.distributions.params import Distributions
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes, write_json
from synthpairs.tracking import Result, run_stage, stage


@stage(metrics="reports/metrics/distributions.json")
def main(distributions: Distributions, scores: Scores, select: Select) -> Result:
    """Write data/distributions, reports/distributions.json and the picture beside it."""
    out = Path("data/distributions")
    results, drawn, volatile = make_distributions(distributions, scores, select, Path("data"), out)
    write_json(Path("reports/distributions.json"), results)
    write_bytes(Path("reports/distributions.png"), distributions_figure(drawn))
    return headline(results), volatile


if __name__ == "__main__":
    run_stage(main)
