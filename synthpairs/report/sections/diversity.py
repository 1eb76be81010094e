"""Report section on the diversity of the caption sets, beside the numbers that Synth2 reports."""

from collections.abc import Sequence
from typing import Any

from synthpairs.core.markdown import markdown_table

# Synth2 (2403.07750): its own synthetic captions and the range of the real sets it compares them with.
PAPER_ENTROPY, PAPER_TOP = "3.81 (highest)", "57.7%"
PAPER_TOP_REAL = "69.8% to 83.0%"
HEAD = ("k", "set", "captions", "entropy, nats", "of ln k", "top-5 share", "effective clusters", "Gini")


def markdown(results: dict[str, Any]) -> str:
    """How the numbers came about, the table of all sets and k with the paper's rows below, and what they show."""
    if not results["clusters"]:
        return f"Too few captions to say: {_too_few(results)}.\n"
    count, sets = results["captions_per_set"], {name: results["sets"][name] for name in results["order"]}
    rows = [_row(k, name, one) for k in results["clusters"] for name, one in sets.items()]
    rows += [
        ["?", "*Synth2's own captions*", "", PAPER_ENTROPY, "", PAPER_TOP, "", ""],
        ["?", "*real sets in Synth2*", "", "lower", "", PAPER_TOP_REAL, "", ""],
    ]
    table = markdown_table(HEAD, rows, words=[HEAD.index("set")])
    explained = (
        f"{count:,} captions of each set, drawn by hash, as sentence embeddings in k clusters that were fitted on all sets "
        f"together. Values are means over {results['runs']} k-means seeds, ± their standard deviation; in brackets 95% "
        f"intervals ({results['resamples']:,} resamples of captions and seeds, centroids held). The column `captions` has "
        f"those that a set holds and how many of the {count:,} drawn are different. Entropy grows with the number of captions "
        "and with k, so compare within one k only. Synth2 states neither its k nor its encoder nor the base of its "
        "logarithm: 3.81 are 45 effective clusters in nats and 14 in bits. `human` are the reference captions: at desk scale "
        "templates over emoji names, else what a file of `captions.sources` holds."
    )
    verdicts = [_verdict(k, sets) for k in results["clusters"]]
    verdicts += [f"Left out: {_too_few(results)}."] if any(results["too_few"].values()) else []
    return f"{explained}\n\n{table}\n\n" + "".join(f"- {verdict}\n" for verdict in verdicts)


def _too_few(results: dict[str, Any]) -> str:
    """The sets and the numbers of clusters for which there are too few captions."""
    sets, clusters = results["too_few"]["sets"], results["too_few"]["clusters"]
    parts = [f"{name} (n = {count:,})" for name, count in sorted(sets.items())]
    if clusters and results["order"]:
        drawn = f"{results['captions_per_set']:,} captions of each set, {results['distinct_captions']:,} different ones in all"
        parts.append(f"k = {', '.join(map(str, clusters))} ({drawn})")
    return "; ".join(parts)


def _row(k: int, name: str, one: dict[str, Any]) -> list[str]:
    values = one["by_clusters"][str(k)]
    share = values["top5_share"]
    return [
        str(k),
        name,
        f"{one['captions']:,} ({one['distinct_drawn']:,})",
        _value(values["entropy"], 2),
        f"{values['normalised_entropy']['mean']:.3f}",
        f"{share['mean']:.1%} ± {share['spread']:.1%} [{share['low']:.1%}, {share['high']:.1%}]",
        _value(values["effective_clusters"], 1),
        _value(values["gini"], 2),
    ]


def _value(numbers: dict[str, float], decimals: int) -> str:
    mean, spread, low, high = (f"{numbers[key]:.{decimals}f}" for key in ("mean", "spread", "low", "high"))
    return f"{mean} ± {spread} [{low}, {high}]"


def _verdict(k: int, sets: dict[str, Any]) -> str:
    """Which set is the most even by entropy, and from which ones it cannot be told; by overlap of the intervals."""
    entropies = {name: one["by_clusters"][str(k)]["entropy"] for name, one in sets.items()}
    order = sorted(entropies, key=lambda name: (-entropies[name]["mean"], name))
    best, others = order[0], order[1:]
    level = [name for name in others if entropies[name]["high"] >= entropies[best]["low"]]
    below = [name for name in others if name not in level]
    parts = [f"{best} is spread more evenly than {_listed(below)}"] if below else []
    parts += [f"no difference shown between {best} and {_listed(level)}"] if level else []
    return f"k = {k}: {'; '.join(parts) or f'{best} is the only set'}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
