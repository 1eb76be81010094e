"""Made-up answers of two arms under three seeds."""

import itertools

import numpy as np
import pandas as pd

from synthpairs.repeats.params import CONTROL, LOSS, PREFERENCE, RUN

ARMS = ["selected", "real"]
SEEDS = [RUN, "1", "2"]


def made_up_repeats(better=(0.0, 0.0, 0.0), lost=(0.0, 0.0, 0.0), rate=(0.5, 0.5, 0.5), right=0.9):
    """Answers to 120 items about 40 concepts; by seed: how much more `real` answers right, and how many nats it has lost; and of
    both arms the win rate of synthetic pictures; `right`: how often the control is answered so.
    """
    rng, rows = np.random.default_rng(0), []
    for arm, (place, seed), item in itertools.product(ARMS, enumerate(SEEDS), range(120)):
        row = {"set": arm, "seed": seed, "uid": f"{item:03}", "concept": str(item // 3)}
        gain = better[place] * (arm == "real")
        rows.append(row | {"task": "desk_vqa", "score": float(rng.random() < 0.4 + gain)})
        rows.append(row | {"task": LOSS, "score": 4 + 0.3 * np.sin(item) + lost[place] * (arm == "real")})
        rows.append(row | {"task": PREFERENCE, "score": float(rng.random() < rate[place])})
        rows.append(row | {"task": CONTROL, "score": float(rng.random() < right)})
    for name, seed, item in itertools.product(["llm", "untrained"], SEEDS, range(120)):
        row = {"set": name, "seed": seed, "uid": f"{item:03}", "concept": str(item // 3)}
        rows.append(row | {"task": LOSS, "score": 4 + 0.3 * np.sin(item)})
    return pd.DataFrame(rows)
