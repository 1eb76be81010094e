"""Semantic diversity: k-means over the captions of all sets, and the evenness of each set over the clusters.

Synth2 (2403.07750, figure 4) leaves open on which captions the centroids are fitted, with which encoder, and for which
k. Here all sets have equal weight in the fit (centroids of one set alone would make that set the most even), and every
k is reported.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.evaluation.diversity.sets import draw
from synthpairs.evaluation.statistics import LEVEL

log = logging.getLogger(__name__)
DECIMALS = 4
TOP = 5  # clusters whose share the paper reports


def entropy(counts: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats of counts [..., k], from 0 (one cluster) to ln k (equal clusters)."""
    return np.asarray(stats.entropy(counts, axis=-1))


def top_share(counts: np.ndarray) -> np.ndarray:
    """Share of the TOP largest of clusters [..., k], from TOP / k to 1; with k <= TOP it is 1."""
    return np.asarray(np.sort(counts, axis=-1)[..., -TOP:].sum(-1) / counts.sum(-1))


def gini(counts: np.ndarray) -> np.ndarray:
    """Gini coefficient of cluster sizes [..., k], from 0 (equal clusters) to 1 - 1/k (one cluster)."""
    size = counts.shape[-1]
    ranks = 2 * np.arange(1, size + 1) - size - 1
    return np.asarray(np.sum(ranks * np.sort(counts, axis=-1), axis=-1) / (size * counts.sum(-1)))


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy,
    "normalised_entropy": lambda counts: entropy(counts) / np.log(counts.shape[-1]),  # from 0 to 1 for every k
    "top5_share": top_share,
    "effective_clusters": lambda counts: np.exp(entropy(counts)),  # equally large clusters of that entropy
    "gini": gini,
}


def measure_diversity(
    sets: dict[str, pd.DataFrame], params: Diversity, embed: Callable[[Sequence[str]], np.ndarray]
) -> dict[str, Any]:
    """MEASURES of every set for every k, as JSON; identical for any number of threads.

    Per set and k: each measure's mean over the runs, its standard deviation over them (`spread`) and a 95% interval;
    `shares`, the mean share of the largest, second largest ... cluster. `too_few` has what is left out: `sets` (with
    their number of captions) smaller than the least k, and values of k (`clusters`) larger than a set.
    """
    short = {name: len(captions) for name, captions in sets.items() if len(captions) < min(params.clusters)}
    sets = {name: captions for name, captions in sets.items() if name not in short}
    size = min(map(len, sets.values()), default=0)
    count = min(size, params.max_captions or size)
    drawn = {name: draw(captions, count, params.seed) for name, captions in sets.items()}
    texts = sorted({text for texts in drawn.values() for text in texts})
    clusters = sorted(k for k in params.clusters if k <= min(count, len(texts)))
    index = {text: number for number, text in enumerate(texts)}
    rows = {name: np.array([index[text] for text in own]) for name, own in drawn.items()}
    vectors = embed(texts)
    weights = sum((np.bincount(own, minlength=len(texts)) for own in rows.values()), np.zeros(len(texts)))
    by_clusters: dict[str, dict[str, Any]] = {name: {} for name in sets}
    for k in clusters:
        labels = np.stack([_fit(vectors, weights, k, run, params) for run in range(params.runs)])  # [run, text]
        for name, own in rows.items():
            by_clusters[name][str(k)] = _measure(labels[:, own], k, params)
        log.info("k = %d: %d captions of each of %d sets in %d runs", k, count, len(sets), params.runs)
    return {
        "captions_per_set": count,
        "distinct_captions": len(texts),
        "clusters": clusters,
        "too_few": {"sets": short, "clusters": sorted(set(params.clusters) - set(clusters))},
        "runs": params.runs,
        "restarts": params.restarts,
        "resamples": params.resamples,
        "seed": params.seed,
        "order": list(sets),
        "sets": {
            name: {
                "captions": len(sets[name]),
                "distinct": int(sets[name]["text"].nunique()),
                "distinct_drawn": len(set(drawn[name])),
                "by_clusters": by_clusters[name],
            }
            for name in sets
        },
    }


def _fit(vectors: np.ndarray, weights: np.ndarray, k: int, run: int, params: Diversity) -> np.ndarray:
    """Cluster of every text; a text's weight is the number of times that it occurs in all sets."""
    seed = int(np.random.SeedSequence([params.seed, k, run]).generate_state(1)[0])
    with threadpool_limits(1):  # with more, the order of summation, and with it the last bits, varies
        fitted = KMeans(n_clusters=k, n_init=params.restarts, random_state=seed).fit(vectors, sample_weight=weights)
    return np.asarray(fitted.labels_)


def _measure(labels: np.ndarray, k: int, params: Diversity) -> dict[str, Any]:
    """Measures of one set from the clusters [run, caption] of its captions."""
    counts = np.stack([np.bincount(run, minlength=k) for run in labels])  # [run, k]
    resampled = _resample(labels, k, params)  # [run, resample, k]
    results: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        values = measure(counts)
        low, high = _interval(values.mean(), measure(resampled).mean(axis=0))
        limits = measure(np.stack([np.eye(1, k)[0], np.ones(k)]))  # one cluster, and equal clusters
        numbers = {
            "mean": values.mean(),
            "spread": values.std(ddof=1),
            "low": max(low, limits.min()),
            "high": min(high, limits.max()),
        }
        results[name] = {key: round(float(value), DECIMALS) for key, value in numbers.items()}
    shares = np.sort(counts / counts.sum(1, keepdims=True), axis=1)[:, ::-1].mean(axis=0)
    return results | {"shares": [round(float(share), DECIMALS) for share in shares]}


def _resample(labels: np.ndarray, k: int, params: Diversity) -> np.ndarray:
    """Cluster sizes [run, resample, k] with captions and runs both drawn with replacement."""
    runs, count = labels.shape
    rng = np.random.default_rng(params.seed)
    sizes = np.empty((runs, params.resamples, k), dtype=np.int32)
    for number in range(params.resamples):
        captions = rng.integers(count, size=count)
        for index, run in enumerate(rng.integers(runs, size=(runs,))):
            sizes[index, number] = np.bincount(labels[run, captions], minlength=k)
    return sizes


def _interval(value: float, resampled: np.ndarray) -> np.ndarray:
    """95% interval around `value`: percentiles of the resamples, shifted so that their mean is `value`.

    A resample misses some captions, so its entropy is biased downwards against the captions' own, which is biased
    against the source. The latter bias is equal for all sets, which have equal sizes; the former could put `value`
    outside the interval.
    """
    return np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - resampled.mean() + value


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Metrics tracked by DVC: each set's entropy and top-5 share at the largest k; no sets if all k are too large."""
    k = max(results["clusters"], default=None)
    sets = sorted(results["sets"].items()) if k else []
    values = {name: one["by_clusters"][str(k)] for name, one in sets}
    return {
        "captions_per_set": results["captions_per_set"],
        "clusters": k,
        "entropy": {name: one["entropy"]["mean"] for name, one in values.items()},
        "top5_share": {name: one["top5_share"]["mean"] for name, one in values.items()},
    }
