"""Stage `art`: render every pinned drawing to a table of PNGs with names, keywords, licence and split; `dvc repro art`."""

import time
from collections import Counter
from pathlib import Path

from synthpairs.artwork.drawings import render_drawings
from synthpairs.artwork.world import Art, World
from synthpairs.params import load_params
from synthpairs.schema import DRAWINGS
from synthpairs.storage import write_json, write_table
from synthpairs.tracking import run_stage, stage_run

OUT = Path("data/art/drawings.parquet")


def main() -> None:
    """Render the artwork and check that it draws everything the world speaks of."""
    params, world = load_params(Art, "art"), load_params(World, "world")
    with stage_run("art", params) as run:
        started = time.monotonic()
        drawings = render_drawings(params.side, world.concepts if params.of == "world" else None)
        missing = sorted(set(world.concepts) - set(drawings["name"]))
        if missing:
            raise ValueError(f"params.yaml: world.concepts: no artwork draws {', '.join(missing)}")
        write_table(OUT, drawings, DRAWINGS)
        metrics = {
            "drawings": len(drawings),
            "concepts": int(drawings["concept"].nunique()),
            "styles": int(drawings["style"].nunique()),
            "split": dict(sorted(Counter(drawings["split"]).items())),
        }
        write_json(Path("reports/metrics/art.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
