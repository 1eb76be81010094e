"""From measured pairs to numbers: each set's distributions, how synthetic and real ones differ, what rankings prefer.

Pairs about one concept are not independent, so whole concepts are resampled for every interval, as for the benchmarks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.sets import Chosen
from synthpairs.evaluation.statistics import bootstrap, holm, paired, shown

PLACES = 4
OF_PICTURES = ("edge_density", "entropy", "clutter")
MEASURES = ("clip_cosine", "ssim", "words", *OF_PICTURES)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe(table: pd.DataFrame, chosen: Chosen) -> dict[str, Any]:
    """{set: {n, concepts, measures}} of a MEASURES table; numbers of an empty set are None.

    `distance` of the concepts is half the summed differences of their shares to those of `real`: 0 where concepts are as
    frequent there, 1 where none is in both, None where one of the sets is empty.
    """
    parts = {name: chosen.of(name, table) for name in chosen.keys}
    shares = {name: part["concept"].value_counts(normalize=True) for name, part in parts.items()}
    result = {}
    for name, part in parts.items():
        distance = shares[name].subtract(shares["real"], fill_value=0).abs().sum() / 2
        comparable = len(part) and len(parts["real"])
        result[name] = {
            "n": len(part),
            "concepts": concept_numbers(part["concept"]) | {"distance": _rounded(distance) if comparable else None},
            "measures": {measure: _spread(part[measure]) for measure in MEASURES},
        }
    return result


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
    real = chosen.of("real", table)
    return {
        name: {measure: superiority(chosen.of(name, table), real, measure, params) for measure in MEASURES}
        for name in ("candidates", "selected")
    }


def superiority(
    ones: pd.DataFrame, others: pd.DataFrame, measure: str, params: Distributions
) -> dict[str, float | None]:
    """Chance that one of `ones` has more of a measure than one of `others`, `low` to `high` by resampling concepts of both.

    None where either is empty.
    """
    if ones.empty or others.empty:
        return _estimate()
    concepts, index = np.unique([*clusters(ones), *clusters(others)], return_inverse=True)
    rows, columns, count = index[: len(ones)], index[len(ones) :], len(concepts)
    more = ones[measure].to_numpy()[:, None] - others[measure].to_numpy()[None, :]
    wins = np.zeros((count, count))  # by concept of the one, then of the other
    np.add.at(wins, np.ix_(rows, columns), (np.sign(more) + 1) / 2)
    sizes, other_sizes = (np.bincount(part, minlength=count) for part in (rows, columns))

    def share(drawn: np.ndarray) -> np.ndarray:
        won = np.einsum("rc,cd,rd->r", drawn, wins, drawn, optimize=True)
        with np.errstate(invalid="ignore"):  # a draw may hold concepts of one side only
            return won / ((drawn @ sizes) * (drawn @ other_sizes))

    return _estimate(wins.sum() / more.size, *bootstrap(share, count, params.resamples, params.seed))


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
    concepts = clusters(ours.reset_index())
    differences = {
        name: paired(ours[name], theirs[name], concepts, params.resamples, params.seed)
        for name in MEASURES
        if name != "words"  # of one caption
    }
    adjusted = holm([one.p for one in differences.values()])
    return {
        name: {"n": one.n, "real": _rounded(theirs[name].mean())}
        | _estimate(one.value, one.low, one.high)
        | {"p": _rounded(p), "shown": shown(p, one.low, one.high)}
        for (name, one), p in zip(differences.items(), adjusted, strict=True)
    }


def preferences(table: pd.DataFrame, chosen: Chosen, params: Distributions) -> dict[str, Any]:
    """What both scores go with among the candidates: rank correlations with measures, and how much the concept explains."""
    part = chosen.of("candidates", table)
    return {
        score: {
            "correlations": {name: spearman(part, score, name, params) for name in (*OF_PICTURES, "words", other)},
            "of_concept": omega_squared(part[score], clusters(part)),
        }
        for score, other in (("ssim", "clip_cosine"), ("clip_cosine", "ssim"))
    }


def spearman(table: pd.DataFrame, one: str, other: str, params: Distributions) -> dict[str, float | None]:
    """Spearman's correlation with its interval: concepts are resampled, ranks stay those of all; None where nothing varies."""
    x, y = (table[name].rank().to_numpy() for name in (one, other))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _estimate()
    x, y = x - x.mean(), y - y.mean()
    _, index = np.unique(clusters(table), return_inverse=True)
    sums = np.stack([np.bincount(index, weights) for weights in (np.ones_like(x), x, y, x * x, y * y, x * y)])

    def correlation(drawn: np.ndarray) -> np.ndarray:
        n, sx, sy, xx, yy, xy = sums @ drawn.T
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw of one concept again and again may not vary
            return (xy - sx * sy / n) / np.sqrt((xx - sx * sx / n) * (yy - sy * sy / n))

    edges = bootstrap(correlation, sums.shape[1], params.resamples, params.seed)
    return _estimate(x @ y / np.sqrt((x @ x) * (y @ y)), *edges)


def omega_squared(values: pd.Series, groups: Sequence[str]) -> float | None:
    """Share of the variance that groups explain, less what they would by chance (Hays 1963); None where it is not defined."""
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


def _estimate(value: float = np.nan, low: float = np.nan, high: float = np.nan) -> dict[str, float | None]:
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}


def _rounded(value: float) -> float | None:
    """As JSON has it: too few values have no standard deviation and no test."""
    return None if np.isnan(value) else round(float(value), PLACES)


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """What is tracked from commit to commit."""
    strategies = results["rankings"]["strategies"]
    return {
        "n": {name: one["n"] for name, one in results["sets"].items()},
        "unreadable": results["unreadable"],
        "more_than_real": {name: one["value"] for name, one in results["against_real"]["candidates"].items()},
        "stability": {name: one["stability"] for name, one in strategies.items()},
        "other_clip": {name: one["other_clip"] for name, one in strategies.items() if one["other_clip"] is not None},
    }
