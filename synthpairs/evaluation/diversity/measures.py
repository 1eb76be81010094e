"""Evenness of counts [..., k] over clusters, empty ones included: entropy, share of the largest five, Gini coefficient."""

from collections.abc import Callable

import numpy as np
from scipy import stats

TOP = 5  # clusters whose share the paper reports


def entropy(counts: np.ndarray) -> np.ndarray:
    """Shannon entropy in nats, from 0 (one cluster) to ln k (all alike)."""
    return np.asarray(stats.entropy(counts, axis=-1))


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
    "normalised_entropy": lambda counts: entropy(counts) / np.log(counts.shape[-1]),  # from 0 to 1, whatever k is
    "top5_share": top_share,
    "effective_clusters": lambda counts: np.exp(entropy(counts)),  # so many equally large clusters have this entropy
    "gini": gini,
}
