import io

import pandas as pd

from synthpairs.report.findings import funnel
from synthpairs.report.plotted import plot_tables


def test_tables_behind_dvc_plots_hold_what_the_page_says(inputs):
    tables = {name: pd.read_csv(io.BytesIO(text)) for name, text in plot_tables(inputs, funnel(inputs)).items()}
    values = tables["benchmarks.csv"].set_index("benchmark")["value"]
    for row in inputs.results.to_dict("records"):
        assert abs(values[f"{row['task']}: {row['arm']}"] - row["value"]) < 1e-4
    assert tables["funnel.csv"].set_index("step").loc["pictures scored", "captions"] == len(inputs.scores)
    for name in ("clip_cosine", "ssim"):
        counted = tables[f"{name}.csv"]
        assert counted["pictures"].sum() == len(inputs.scores)
        assert counted.loc[counted[name] <= 0.52, "pictures"].sum() == (inputs.scores[name] <= 0.52).sum()
