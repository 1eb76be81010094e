"""Results from measured pairs: each set's distributions, differences of synthetic and real pairs, what scores prefer.

Pairs about one concept are not independent, so every interval resamples whole concepts, as for the benchmarks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.sets import PairSets
from synthpairs.evaluation.statistics import bootstrap, holm, paired, shown

DECIMALS = 4
IMAGE_MEASURES = ("edge_density", "entropy", "clutter")
MEASURES = ("clip_cosine", "ssim", "words", *IMAGE_MEASURES)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe(table: pd.DataFrame, sets: PairSets) -> dict[str, Any]:
    """{set: {n, concepts, measures}} of a MEASURES table; numbers of an empty set are None.

    `distance` of the concepts is the total variation distance of their frequencies to those in `real`, from 0 to 1;
    None if either set is empty.
    """
    parts = {name: sets.of(name, table) for name in sets.keys}
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
    """`n`, the number of concepts, and `effective`, the Hill number of order 1 (exponential of the entropy)."""
    if concepts.empty:
        return {"n": 0, "effective": None}
    shares = concepts.value_counts(normalize=True)
    return {"n": len(shares), "effective": _rounded(np.exp(-(shares * np.log(shares)).sum()))}


def against_real(table: pd.DataFrame, sets: PairSets, params: Distributions) -> dict[str, Any]:
    """`superiority` over real pairs, of candidates and selected pairs in each measure."""
    real = sets.of("real", table)
    return {
        name: {measure: superiority(sets.of(name, table), real, measure, params) for measure in MEASURES}
        for name in ("candidates", "selected")
    }


def superiority(
    ones: pd.DataFrame, others: pd.DataFrame, measure: str, params: Distributions
) -> dict[str, float | None]:
    """Probability that a row of `ones` has more of a measure than one of `others` (ties half), with its interval.

    This is the area under the ROC curve, 0.5 for equal distributions. Concepts of both are resampled together. None if
    either is empty.
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
        total = np.einsum("rc,cd,rd->r", drawn, wins, drawn, optimize=True)
        with np.errstate(invalid="ignore"):  # a draw may hold concepts of one side only
            return total / ((drawn @ sizes) * (drawn @ other_sizes))

    return _estimate(wins.sum() / more.size, *bootstrap(share, count, params.resamples, params.seed))


def captions_with_both(table: pd.DataFrame, sets: PairSets) -> pd.DataFrame:
    """Captions whose generated and real image were both measured: rows of `sets.same_caption`."""
    return sets.same_caption[sets.same_caption[["synthetic", "real"]].isin(set(table["key"])).all(axis=1)]


def same_caption_differences(table: pd.DataFrame, sets: PairSets, params: Distributions) -> dict[str, Any]:
    """Mean difference (synthetic - real) of the images of one caption, with clustered t-tests and Holm's correction.

    Empty if fewer than two captions have both images.
    """
    cells, both = table.set_index("key"), captions_with_both(table, sets)
    if len(both) < 2:
        return {}
    synthetic, real = (cells.loc[both[origin]].set_index("uid") for origin in ("synthetic", "real"))
    concepts = clusters(synthetic.reset_index())
    differences = {
        name: paired(synthetic[name], real[name], concepts, params.resamples, params.seed)
        for name in MEASURES
        if name != "words"  # the same for both
    }
    adjusted = holm([one.p for one in differences.values()])
    return {
        name: {"n": one.n, "real": _rounded(real[name].mean())}
        | _estimate(one.value, one.low, one.high)
        | {"p": _rounded(p), "shown": shown(p, one.low, one.high)}
        for (name, one), p in zip(differences.items(), adjusted, strict=True)
    }


def preferences(pool: pd.DataFrame, params: Distributions) -> dict[str, Any]:
    """Rank correlations of both scores with the measures over candidates, and the variance that concepts explain."""
    return {
        score: {
            "correlations": {name: spearman(pool, score, name, params) for name in (*IMAGE_MEASURES, "words", other)},
            "of_concept": omega_squared(pool[score], clusters(pool)),
        }
        for score, other in (("ssim", "clip_cosine"), ("clip_cosine", "ssim"))
    }


def spearman(table: pd.DataFrame, one: str, other: str, params: Distributions) -> dict[str, float | None]:
    """Spearman's correlation with its interval (ranks are of the whole table); None if a column does not vary."""
    x, y = (table[name].rank().to_numpy() for name in (one, other))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _estimate()
    x, y = x - x.mean(), y - y.mean()
    _, index = np.unique(clusters(table), return_inverse=True)
    sums = np.stack([np.bincount(index, weights) for weights in (np.ones_like(x), x, y, x * x, y * y, x * y)])

    def correlation(drawn: np.ndarray) -> np.ndarray:
        n, sx, sy, xx, yy, xy = sums @ drawn.T
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample of a single concept may not vary
            return (xy - sx * sy / n) / np.sqrt((xx - sx * sx / n) * (yy - sy * sy / n))

    limits = bootstrap(correlation, sums.shape[1], params.resamples, params.seed)
    return _estimate(x @ y / np.sqrt((x @ x) * (y @ y)), *limits)


def omega_squared(values: pd.Series, groups: Sequence[str]) -> float | None:
    """Omega squared (Hays 1963): share of the variance that groups explain, less chance; None where undefined."""
    by_group = values.groupby(np.asarray(groups))
    n, k = len(values), by_group.ngroups
    total = float(((values - values.mean()) ** 2).sum())
    within = float(((values - by_group.transform("mean")) ** 2).sum())
    if n <= k or k < 2 or total == 0:
        return None
    noise = within / (n - k)
    return _rounded(max(0.0, (total - within - (k - 1) * noise) / (total + noise)))


def clusters(table: pd.DataFrame) -> list[str]:
    """Cluster of each row: its concept, or its caption if it has none."""
    return [concept or uid for concept, uid in zip(table["concept"], table["uid"], strict=True)]


def standardised(picked: pd.DataFrame, pool: pd.DataFrame, names: Sequence[str]) -> Mapping[str, float | None]:
    """Difference of the means of `picked` and `pool` in standard deviations of `pool`; None where nothing varies."""
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
    """Rounded, with None for NaN (which JSON lacks): the standard deviation or p of too few values."""
    return None if np.isnan(value) else round(float(value), DECIMALS)


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Metrics tracked by DVC."""
    strategies = results["rankings"]["strategies"]
    return {
        "n": {name: one["n"] for name, one in results["sets"].items()},
        "unreadable": results["unreadable"],
        "more_than_real": {name: one["value"] for name, one in results["against_real"]["candidates"].items()},
        "stability": {name: one["stability"] for name, one in strategies.items()},
        "other_clip": {name: one["other_clip"] for name, one in strategies.items() if one["other_clip"] is not None},
    }
