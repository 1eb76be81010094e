"""Control sets of the Synth2 route, which tell apart what a training on generated pairs lacks.

FEW: as many real pairs as there are different generated captions. REGENERATED: the captions of those pairs with VQ tokens that
the masked generator makes of them. From FEW to REGENERATED the generator alone changes, from REGENERATED to the arm
`synthetic` the captions.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import REAL_PAIRS
from synthpairs.core.storage import read_table, write_bytes, write_table
from synthpairs.experiments.results import REGENERATED
from synthpairs.generation.masked.make import make_token_grids
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.generation.masked.tokens import read_token_grids


def control_data(control: str, data: Path, generate: GenerateTokens, seed: int, work: Path) -> Path:
    """A data folder in `work` whose real pairs are the control set; of all real pairs, the seed draws which."""
    generated = read_table(data / "generated_tokens/manifest.parquet", "dvc repro generate_tokens", ["text"])
    real = read_table(data / "real_pairs/pairs.parquet", "dvc repro encode_real_pairs")
    real = real.sample(min(len(real), generated["text"].nunique()), random_state=seed)
    if control == REGENERATED:
        captions = real[["key", "text", "concept"]].rename(columns={"key": "uid"})
        make_token_grids(captions, replace(generate, candidates=1, vectors="hard"), work / "regenerated")
        manifest = pd.read_parquet(work / "regenerated/manifest.parquet").set_index("key")["uid"]
        tokens = {manifest[key]: grid.ravel() for key, _, grid, _ in read_token_grids(work / "regenerated")}
        real = real[real["key"].isin(tokens)].assign(tokens=lambda rows: rows["key"].map(tokens))
    write_table(work / "data/real_pairs/pairs.parquet", real.to_dict("records"), REAL_PAIRS)
    write_bytes(work / "data/real_pairs/list.json", (data / "real_pairs/list.json").read_bytes())
    return work / "data"
