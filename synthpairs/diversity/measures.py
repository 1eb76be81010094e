"""How evenly captions are spread over clusters. Counts are arrays [..., k], one count per cluster, empty ones included."""

from collections.abc import Callable

import numpy as np

TOP = 5  # clusters whose share the paper reports


def entropy(counts: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats, from 0 (one cluster) to ln k (all alike)."""
    shares = counts / counts.sum(-1, keepdims=True)
    surprise = -np.log(np.where(shares > 0, shares, 1.0))  # 0 ln 0 is 0
    return np.asarray(np.sum(shares * surprise, axis=-1) + 0.0)  # no -0.0 for a single cluster


def normalised_entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy / ln k, from 0 to 1; comparable between different k."""
    return np.asarray(entropy(counts) / np.log(counts.shape[-1]))


def effective_clusters(counts: np.ndarray) -> np.ndarray:
    """exp(entropy), from 1 to k: how many equally large clusters would have this entropy."""
    return np.asarray(np.exp(entropy(counts)))


def top_share(counts: np.ndarray) -> np.ndarray:
    """Share of the captions in the TOP largest clusters, from TOP / k to 1; with k <= TOP it is 1."""
    return np.asarray(np.sort(counts, axis=-1)[..., -TOP:].sum(-1) / counts.sum(-1))


def gini(counts: np.ndarray) -> np.ndarray:
    """Gini coefficient of the cluster sizes, from 0 (all alike) to 1 - 1/k (one cluster)."""
    size = counts.shape[-1]
    ranks = 2 * np.arange(1, size + 1) - size - 1
    return np.asarray(np.sum(ranks * np.sort(counts, axis=-1), axis=-1) / (size * counts.sum(-1)))


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy,
    "normalised_entropy": normalised_entropy,
    "top5_share": top_share,
    "effective_clusters": effective_clusters,
    "gini": gini,
}
