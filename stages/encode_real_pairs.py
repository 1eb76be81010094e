"""Stage `encode_real_pairs`: emoji scenes or captioned pictures as VQ tokens; run by `dvc repro encode_real_pairs`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.emoji.params import EmojiWorld
from synthpairs.generation.vq_pairs.captioned import encode_captions
from synthpairs.generation.vq_pairs.make import make_pairs
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/encode_real_pairs.json")
def main(encode_real_pairs: RealPairs, world: EmojiWorld) -> Result:
    """Write data/real_pairs."""
    out = Path("data/real_pairs")
    if encode_real_pairs.source == "captions":
        return encode_captions(Path("data/captions/kept.parquet"), encode_real_pairs, out)
    drawings = read_table(Path("data/emoji/drawings.parquet"), "dvc repro emoji")
    return make_pairs(drawings, world.concepts, encode_real_pairs, out)


if __name__ == "__main__":
    run_stage(main)
