"""From measured pairs to numbers: each set's distributions, how synthetic and real ones differ, what rankings prefer.

Pairs about one concept are not independent, so whole concepts are resampled for every interval, as for the benchmarks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.distributions.params import Distributions
from synthpairs.distributions.sets import Chosen
from synthpairs.significance import holm, paired, shown
from synthpairs.statistics import LEVEL

PLACES = 4
MEASURES = ("clip_cosine", "ssim", "words", "edge_density", "entropy", "clutter")
OF_PICTURES = ("edge_density", "entropy", "clutter")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe(table: pd.DataFrame, chosen: Chosen) -> dict[str, Any]:
    """{set: {n, concepts, measures}} of a MEASURES table; numbers of an empty set are None.

    `distance` of the concepts is half the summed differences of their shares to those of `real`: 0 where concepts are as
    frequent there, 1 where none is in both, None where one of the sets is empty.
    """
    parts = {name: table[table["key"].isin(keys)] for name, keys in chosen.keys.items()}
    shares = {name: part["concept"].value_counts(normalize=True) for name, part in parts.items()}
    told = {}
    for name, part in parts.items():
        apart = shares[name].subtract(shares["real"], fill_value=0).abs().sum() / 2
        comparable = len(part) and len(parts["real"])
        told[name] = {
            "n": len(part),
            "concepts": concept_numbers(part["concept"]) | {"distance": _rounded(apart) if comparable else None},
            "measures": {measure: _spread(part[measure]) for measure in MEASURES},
        }
    return told


def concept_numbers(concepts: pd.Series) -> dict[str, float | None]:
    """`n`, how many concepts, and `effective`, how many evenly frequent ones they are worth (Hill number of order 1)."""
    if concepts.empty:
        return {"n": 0, "effective": None}
    shares = concepts.value_counts(normalize=True)
    return {"n": len(shares), "effective": _rounded(np.exp(-(shares * np.log(shares)).sum()))}


def against_real(table: pd.DataFrame, chosen: Chosen, params: Distributions) -> dict[str, Any]:
    """Of each other set and measure: how often one of its pairs has more than a real one (ties half), with its interval.

    0.5: neither has more. It is the area under the ROC curve, the Mann-Whitney statistic over the number of couples.
    """
    real = table[table["key"].isin(chosen.keys["real"])]
    told: dict[str, Any] = {}
    for name in ("candidates", "selected"):
        part = table[table["key"].isin(chosen.keys[name])]
        told[name] = {measure: superiority(part, real, measure, params) for measure in MEASURES}
    return told


def superiority(
    ones: pd.DataFrame, others: pd.DataFrame, measure: str, params: Distributions
) -> dict[str, float | None]:
    """Chance that one of `ones` has more of a measure than one of `others`, `low` to `high` by resampling concepts of both.

    None where either is empty.
    """
    if ones.empty or others.empty:
        return {"value": None, "low": None, "high": None}
    concepts = sorted(set(clusters(ones)) | set(clusters(others)))
    place = {concept: number for number, concept in enumerate(concepts)}
    rows, columns = ([place[concept] for concept in clusters(part)] for part in (ones, others))
    more = ones[measure].to_numpy()[:, None] - others[measure].to_numpy()[None, :]
    won = np.zeros((len(concepts), len(concepts)))  # by concept of the one, then of the other
    np.add.at(won, (np.array(rows)[:, None], np.array(columns)[None, :]), (np.sign(more) + 1) / 2)
    sizes = np.bincount(rows, minlength=len(concepts)), np.bincount(columns, minlength=len(concepts))
    drawn = _resampled(len(concepts), params)
    wins = np.einsum("rc,cd,rd->r", drawn, won, drawn, optimize=True)
    couples = (drawn @ sizes[0]) * (drawn @ sizes[1])
    low, high = _edges(wins[couples > 0] / couples[couples > 0])
    return {"value": _rounded(won.sum() / (len(ones) * len(others))), "low": low, "high": high}


def with_both(table: pd.DataFrame, chosen: Chosen) -> pd.DataFrame:
    """The captions whose generated and original picture were both measured: rows of `chosen.couples`."""
    return chosen.couples[chosen.couples[["synthetic", "real"]].isin(set(table["key"])).all(axis=1)]


def coupled(table: pd.DataFrame, chosen: Chosen, params: Distributions) -> dict[str, Any]:
    """Mean difference, synthetic minus real, of the pictures of one caption; p by a clustered t-test, corrected by Holm.

    Nothing where fewer than two captions have both.
    """
    cells, both = table.set_index("key"), with_both(table, chosen)
    if len(both) < 2:
        return {}
    ours, theirs = (cells.loc[both[side]].set_index("uid") for side in ("synthetic", "real"))
    names = [name for name in MEASURES if name != "words"]  # of one caption
    found = {
        name: paired(ours[name], theirs[name], clusters(ours.reset_index()), params.resamples, params.seed)
        for name in names
    }
    adjusted = dict(zip(names, holm([found[name].p for name in names]), strict=True))
    return {
        name: {
            "n": one.n,
            "real": _rounded(theirs[name].mean()),
            "value": _rounded(one.value),
            "low": _rounded(one.low),
            "high": _rounded(one.high),
            "p": _rounded(adjusted[name]),
            "shown": shown(adjusted[name], one.low, one.high),
        }
        for name, one in found.items()
    }


def preferences(table: pd.DataFrame, chosen: Chosen, params: Distributions) -> dict[str, Any]:
    """What both scores go with among the candidates: rank correlations with measures, and how much the concept explains."""
    part = table[table["key"].isin(chosen.keys["candidates"])]
    told: dict[str, Any] = {}
    for score, beside in (("ssim", "clip_cosine"), ("clip_cosine", "ssim")):
        names = (*OF_PICTURES, "words", beside)
        told[score] = {
            "correlations": {name: spearman(part, score, name, params) for name in names},
            "of_concept": omega_squared(part[score], clusters(part)),
        }
    return told


def spearman(table: pd.DataFrame, one: str, other: str, params: Distributions) -> dict[str, float | None]:
    """Spearman's correlation with its interval: concepts are resampled, ranks stay those of all; None where nothing varies."""
    x, y = (table[name].rank().to_numpy() for name in (one, other))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return {"value": None, "low": None, "high": None}
    x, y = x - x.mean(), y - y.mean()
    _, places = np.unique(clusters(table), return_inverse=True)
    sums = np.stack([np.bincount(places, weights) for weights in (np.ones_like(x), x, y, x * x, y * y, x * y)])
    n, sx, sy, xx, yy, xy = sums @ _resampled(sums.shape[1], params).T
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw of one concept again and again may not vary
        drawn = (xy - sx * sy / n) / np.sqrt((xx - sx * sx / n) * (yy - sy * sy / n))
    low, high = _edges(drawn[np.isfinite(drawn)])
    return {"value": _rounded(x @ y / np.sqrt((x @ x) * (y @ y))), "low": low, "high": high}


def omega_squared(values: pd.Series, groups: Sequence[str]) -> float | None:
    """Share of the variance that groups explain, less what they would by chance (Hays 1963); None where nothing can be told."""
    by_group = values.groupby(np.asarray(groups))
    n, k = len(values), by_group.ngroups
    total = float(((values - values.mean()) ** 2).sum())
    within = float(((values - by_group.transform("mean")) ** 2).sum())
    if n <= k or k < 2 or total == 0:
        return None
    noise = within / (n - k)
    return _rounded(max(0.0, (total - within - (k - 1) * noise) / (total + noise)))


def clusters(table: pd.DataFrame) -> list[str]:
    """What each row is not independent of: its concept, or its caption where there is none."""
    return [concept or uid for concept, uid in zip(table["concept"], table["uid"], strict=True)]


def standardised(picked: pd.DataFrame, pool: pd.DataFrame, names: Sequence[str]) -> Mapping[str, float | None]:
    """How far the mean of `picked` lies from that of all, in standard deviations of all; None where nothing varies."""
    return {
        name: _rounded((picked[name].mean() - pool[name].mean()) / pool[name].std())
        if pool[name].nunique() > 1
        else None
        for name in names
    }


def _spread(values: pd.Series) -> dict[str, float | None]:
    quantiles = {f"q{round(100 * share):02d}": values.quantile(share) for share in QUANTILES}
    return {name: _rounded(value) for name, value in ({"mean": values.mean(), "std": values.std()} | quantiles).items()}


def _resampled(groups: int, params: Distributions) -> np.ndarray:
    """How often each group is drawn, [resample, group]."""
    rng = np.random.default_rng(params.seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=params.resamples).astype(float)


def _edges(values: np.ndarray) -> tuple[float | None, float | None]:
    """The 95% interval; None where no resample has a value."""
    if not len(values):
        return None, None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return _rounded(low), _rounded(high)


def _rounded(value: float) -> float | None:
    """As JSON has it: too few values have no standard deviation and no test."""
    return None if np.isnan(value) else round(float(value), PLACES)
