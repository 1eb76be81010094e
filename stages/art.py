"""Stage `art`: render every pinned drawing to a table of PNGs with names, keywords, licence and split; `dvc repro art`."""

from collections import Counter
from pathlib import Path

from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.emoji.drawings import render_drawings
from synthpairs.emoji.world import Art, World
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/art.json")
def main(art: Art, world: World) -> Result:
    """Write data/art/drawings.parquet; ValueError unless it draws everything the world speaks of."""
    drawings = render_drawings(art.side, world.concepts if art.of == "world" else None)
    missing = sorted(set(world.concepts) - set(drawings["name"]))
    if missing:
        raise ValueError(f"params.yaml: world.concepts: no artwork draws {', '.join(missing)}")
    write_table(Path("data/art/drawings.parquet"), drawings, DRAWINGS)
    return {
        "drawings": len(drawings),
        "concepts": int(drawings["concept"].nunique()),
        "styles": int(drawings["style"].nunique()),
        "split": dict(sorted(Counter(drawings["split"]).items())),
    }


if __name__ == "__main__":
    run_stage(main)
