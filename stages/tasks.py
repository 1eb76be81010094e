"""Stage `tasks`: benchmarks on held-out drawings and instruction data on training drawings; run by `dvc repro tasks`."""

import time
from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.benchmarks.task_params import Tasks
from synthpairs.benchmarks.writing import make_tasks
from synthpairs.params import load_params
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("data/tasks")


def main() -> None:
    """Write every table and definition into data/tasks."""
    params, world = load_params(Tasks, "tasks"), load_params(World, "world")
    with stage_run("tasks", params) as run:
        started = time.monotonic()
        drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
        metrics = make_tasks(drawings, world.concepts, params, OUT)
        write_json(Path("reports/metrics/tasks.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
