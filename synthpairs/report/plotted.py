"""The tables behind `dvc plots`: CSV that DVC draws beside that of other revisions and experiments."""

import pandas as pd

from synthpairs.report.inputs import Inputs

BINS = 25  # of a score's histogram, over the range that it can have


def plot_tables(inputs: Inputs, funnel: pd.DataFrame) -> dict[str, bytes]:
    """CSV by file name: each arm's value on each benchmark, captions that reach each step, and both scores' histograms.

    Bins are fixed, so that revisions lie above each other. Equal inputs give equal bytes.
    """
    results = inputs.results
    values = pd.DataFrame({"benchmark": results["task"] + ": " + results["arm"], "value": results["value"].round(4)})
    counts = pd.DataFrame({"step": funnel.index, "captions": funnel.sum(axis="columns").to_numpy()})
    tables = {"benchmarks.csv": values.sort_values("benchmark"), "funnel.csv": counts}
    for name in ("clip_cosine", "ssim"):
        edges = pd.interval_range(0, 1, periods=BINS)
        counted = pd.cut(inputs.scores[name].clip(1e-9, 1), edges).value_counts(sort=False)
        told = pd.DataFrame({name: [edge.right for edge in edges], "pictures": counted.to_numpy()})
        tables[f"{name}.csv"] = told.round(4)
    return {name: table.to_csv(index=False, lineterminator="\n").encode() for name, table in tables.items()}
