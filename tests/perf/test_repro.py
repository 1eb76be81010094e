"""Figures of the pipeline as MLflow has them, and their table."""

from perf.repro import stages, table
from synthpairs.runtime.mlflow_store import Execution, Store
from tests.runtime.conftest import root, workspace  # noqa: F401


def test_stages_are_listed_in_the_order_in_which_they_ran(workspace, root):  # noqa: F811
    for name, seconds in (("emoji", 2.0), ("captions", 70.123)):
        usage = {"seconds": seconds, "cpu_seconds": 2 * seconds, "peak_memory_gib": 0.5}
        Store(Execution.current()).add_run(name, "FINISHED", {}, {"kept": 3, "run": usage})
    found = {name: one for name, one in stages(root / "mlflow.db").items() if one["peak_memory_gib"] == 0.5}
    assert found["captions"] == {"seconds": 70.12, "cpu_seconds": 140.25, "peak_memory_gib": 0.5}
    assert [*found] == ["emoji", "captions"]


def test_the_table_has_ratios_to_earlier_figures():
    def figures(cpu_seconds):
        return {"seconds": 60.0, "cpu_seconds": cpu_seconds, "peak_memory_gib": 1.25}

    now = {"total": figures(300.0), "stages": {"emoji": figures(10.0), "new": figures(1.0)}}
    before = {"total": figures(900.0), "stages": {"emoji": figures(20.0)}}
    assert table(now, before).splitlines()[2:] == [
        "| total | 60 | 300 | 1.25 | 0.33 |",
        "| emoji | 60 | 10 | 1.25 | 0.50 |",
        "| new | 60 | 1 | 1.25 |  |",
    ]
