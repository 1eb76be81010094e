"""Stage `emoji`: render every pinned drawing to a table of PNGs with names, keywords, licence and split; `dvc repro emoji`."""

from collections import Counter
from pathlib import Path

from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.emoji.drawings import render_drawings
from synthpairs.emoji.params import EmojiDrawings, EmojiWorld
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/emoji.json")
def main(emoji: EmojiDrawings, world: EmojiWorld) -> Result:
    """Write data/emoji/drawings.parquet; ValueError unless it draws everything the world speaks of."""
    drawings = render_drawings(emoji.image_size, world.concepts if emoji.drawings == "world" else None)
    missing = sorted(set(world.concepts) - set(drawings["name"]))
    if missing:
        raise ValueError(f"params.yaml: world.concepts: no emoji set draws {', '.join(missing)}")
    write_table(Path("data/emoji/drawings.parquet"), drawings, DRAWINGS)
    return {
        "drawings": len(drawings),
        "concepts": int(drawings["concept"].nunique()),
        "styles": int(drawings["style"].nunique()),
        "split": dict(sorted(Counter(drawings["split"]).items())),
    }


if __name__ == "__main__":
    run_stage(main)
