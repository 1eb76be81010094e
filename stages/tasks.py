"""Stage `tasks`: benchmarks on held-out drawings and instruction data on training drawings; run by `dvc repro tasks`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.emoji.params import EmojiWorld
from synthpairs.emoji.tasks.make import make_tasks
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/tasks.json")
def main(tasks: Tasks, world: EmojiWorld) -> Result:
    """Write data/tasks: every table and definition."""
    drawings = read_table(Path("data/emoji/drawings.parquet"), "dvc repro emoji")
    names = read_table(Path("data/emoji/names.parquet"), "dvc repro emoji")
    return make_tasks(drawings, names, world.concepts, tasks, Path("data/tasks"))


if __name__ == "__main__":
    run_stage(main)
