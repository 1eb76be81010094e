"""Real pairs of emoji scenes: from drawings to data/real_pairs, the first scenes of the pair list with captions and VQ tokens."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.core.determinism import best_device
from synthpairs.core.schema import REAL_PAIRS, pair_key
from synthpairs.core.storage import write_json, write_table
from synthpairs.emoji.drawings import drawings_of_split
from synthpairs.emoji.pool import draw_scenes, keywords_of, render_scenes
from synthpairs.emoji.wording import random_caption
from synthpairs.generation.vq_pairs.encoding import Encoder
from synthpairs.generation.vq_pairs.listing import describe, require_same_pair_list
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.vq_tokenizer import load_tokenizer
from synthpairs.runtime.progress import progress


def make_pairs(drawings: pd.DataFrame, concepts: list[str], params: RealPairs, out: Path) -> dict[str, Any]:
    """Write `out` (pairs.parquet, list.json) in the list's order; returns metrics.

    The caption of pair i depends on the seed and i alone, so a larger `params.used` only adds pairs. ValueError when the
    tokenizer was trained on another list.
    """
    if params.used > params.scenes:
        raise ValueError(
            f"params.yaml: encode_real_pairs.used must be at most encode_real_pairs.scenes ({params.scenes}), got {params.used}"
        )
    rows = list(drawings_of_split(drawings, "train", concepts))
    scenes = draw_scenes(rows, params.seed, params.scenes, params.kinds)
    described = describe(scenes, rows)
    require_same_pair_list(Path(params.tokenizer), described)
    used, keywords = scenes[: params.used], keywords_of(rows)
    vq = load_tokenizer(Path(params.tokenizer), "params.yaml: encode_real_pairs.tokenizer").to(best_device())
    with progress("tokens", len(used), "pictures") as advance:
        tokens = Encoder(vq).tokens(render_scenes(used, rows), advance)
    pairs = [
        {
            "key": pair_key(described["sha256"], number),
            "text": random_caption(scene, np.random.default_rng([params.seed, 2, number]), keywords),
            "concept": scene.names[0],
            "drawings": [thing.drawing for thing in scene.things],
            "tokens": tokens[number].flatten(),
        }
        for number, scene in enumerate(used)
    ]
    write_table(out / "pairs.parquet", pairs, REAL_PAIRS)
    write_json(out / "list.json", described | {"used": len(used), "grid": list(tokens.shape[1:])})
    return {
        "scenes": len(scenes),
        "used": len(used),
        "kinds": dict(sorted(Counter(scene.kind for scene in used).items())),
        "concepts": len({name for scene in used for name in scene.names}),
        "texts": len({pair["text"] for pair in pairs}),  # distinct
        "codes_used": round(len(np.unique(tokens)) / vq.config.num_vq_embeddings, 4),  # share of the codebook
    }
