"""Stage `emoji`: tables of the world's drawings, as PNGs, and of the names of all emoji; run by `dvc repro emoji`."""

from collections import Counter
from pathlib import Path

from synthpairs.core.schema import DRAWINGS, NAMES
from synthpairs.core.storage import write_table
from synthpairs.emoji.drawings import concepts, render_drawings
from synthpairs.emoji.params import EmojiDrawings, EmojiWorld
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/emoji.json")
def main(emoji: EmojiDrawings, world: EmojiWorld) -> Result:
    """Write data/emoji; ValueError unless the drawings show everything the world speaks of."""
    names = concepts()
    drawings = render_drawings(emoji.image_size, names[names["name"].isin(world.concepts)])
    missing = sorted(set(world.concepts) - set(drawings["name"]))
    if missing:
        raise ValueError(f"params.yaml: world.concepts: no emoji set draws {', '.join(missing)}")
    write_table(Path("data/emoji/drawings.parquet"), drawings, DRAWINGS)
    write_table(Path("data/emoji/names.parquet"), names.drop(columns="emoji"), NAMES)
    return {
        "names": len(names),
        "drawings": len(drawings),
        "concepts": int(drawings["concept"].nunique()),
        "styles": int(drawings["style"].nunique()),
        "split": dict(sorted(Counter(drawings["split"]).items())),
    }


if __name__ == "__main__":
    run_stage(main)
