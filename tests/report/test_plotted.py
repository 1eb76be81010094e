"""Tables that DVC can draw: every number is one that the report has."""

import io

import pandas as pd

from synthpairs.report.findings import funnel
from synthpairs.report.inputs import read_inputs
from synthpairs.report.plotted import plot_tables
from tests.report.conftest import ARMS


def test_tables_hold_what_the_page_says(project):
    inputs = read_inputs(ARMS, project)
    tables = {name: pd.read_csv(io.BytesIO(text)) for name, text in plot_tables(inputs, funnel(inputs)).items()}
    values = tables["benchmarks.csv"].set_index("benchmark")["value"]
    for row in inputs.results.to_dict("records"):
        assert abs(values[f"{row['task']}: {row['arm']}"] - row["value"]) < 1e-4
    assert tables["funnel.csv"].set_index("step").loc["pictures scored", "captions"] == len(inputs.scores)
    for name in ("clip_cosine", "ssim"):
        counted = tables[f"{name}.csv"]
        assert counted["pictures"].sum() == len(inputs.scores)
        middle = (inputs.scores[name] <= 0.52).sum()
        assert counted.loc[counted[name] <= 0.52, "pictures"].sum() == middle
