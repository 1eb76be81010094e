"""The same things in a style that nothing here has learnt from: how far does what was taught carry?"""

import io

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.benchmarks.studio import Studio

SPLIT = "heldout_style"  # of the drawings: those of the packages that the lock file marks `evaluate`
SEED = 0  # of their backgrounds, sizes and places


def unseen_style(items: pd.DataFrame, drawings: pd.DataFrame, concepts: list[str]) -> pd.DataFrame:
    """`items` (rows of BENCHMARK that show one thing), each with a picture of its concept in a held-out style instead.

    Pictures have the items' size; equal input, equal pictures. ValueError when a concept has no drawing in such a style.
    """
    studio = Studio(drawings, SPLIT, concepts, Image.open(io.BytesIO(items["picture"].iloc[0])).width)
    rng = np.random.default_rng(SEED)
    return items.assign(picture=[studio.png(studio.compose(rng, "single", concept)) for concept in items["concept"]])
