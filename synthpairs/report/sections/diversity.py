"""Report section on the diversity of the caption sets, with the numbers that Synth2 reports."""

from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.report.tables import bullets, listed

# Synth2 (2403.07750): its own synthetic captions, and the range of the real sets that it compares them with.
PAPER_ENTROPY, PAPER_TOP = "3.81 (highest)", "57.7%"
PAPER_TOP_REAL = "69.8% to 83.0%"
HEAD = ("k", "set", "captions", "entropy, nats", "of ln k", "top-5 share", "effective clusters", "Gini")


def markdown(results: dict[str, Any]) -> str:
    """Method, table of all sets and k with the paper's rows last, and verdicts."""
    if not results["clusters"]:
        return f"Too few captions to say: {_too_few(results)}.\n"
    count, sets = results["captions_per_set"], {name: results["sets"][name] for name in results["order"]}
    rows = [_row(k, name, numbers) for k in results["clusters"] for name, numbers in sets.items()]
    rows += [
        ["?", "*Synth2's own captions*", "", PAPER_ENTROPY, "", PAPER_TOP, "", ""],
        ["?", "*real sets in Synth2*", "", "lower", "", PAPER_TOP_REAL, "", ""],
    ]
    method = (
        f"{count:,} captions of each set, drawn by hash; sentence embeddings in k clusters fitted on all sets "
        f"together. Values are means over {results['runs']} k-means seeds ± standard deviation; in brackets 95% "
        f"intervals ({results['resamples']:,} resamples of captions and seeds, centroids fixed). The column "
        f"`captions` has the size of the set and the number of different captions among the {count:,}. Entropy grows "
        "with the number of captions and with k, so only rows of the same k are comparable. Synth2 states neither k "
        "nor the encoder nor the base of the logarithm: 3.81 corresponds to 45 effective clusters in nats and 14 in "
        "bits. `reference` are the reference captions: at desk scale made of templates over emoji names, otherwise from "
        "the files of `captions.sources`."
    )
    verdicts = [_verdict(k, sets) for k in results["clusters"]]
    verdicts += [f"Left out: {_too_few(results)}."] if any(results["too_few"].values()) else []
    return f"{method}\n\n{markdown_table(HEAD, rows, words=[HEAD.index('set')])}\n\n{bullets(verdicts)}\n"


def _too_few(results: dict[str, Any]) -> str:
    """Sets and numbers of clusters for which there are too few captions."""
    sets, clusters = results["too_few"]["sets"], results["too_few"]["clusters"]
    parts = [f"{name} (n = {count:,})" for name, count in sorted(sets.items())]
    if clusters and results["order"]:
        drawn = f"{results['captions_per_set']:,} captions of each set, {results['distinct_captions']:,} different ones in all"
        parts.append(f"k = {', '.join(map(str, clusters))} ({drawn})")
    return "; ".join(parts)


def _row(k: int, name: str, numbers: dict[str, Any]) -> list[str]:
    values = numbers["by_clusters"][str(k)]
    share = values["top5_share"]
    return [
        str(k),
        name,
        f"{numbers['captions']:,} ({numbers['distinct_drawn']:,})",
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
    """The set of highest entropy against the others, by overlap of the intervals."""
    entropies = {name: numbers["by_clusters"][str(k)]["entropy"] for name, numbers in sets.items()}
    best, *others = sorted(entropies, key=lambda name: (-entropies[name]["mean"], name))
    level = [name for name in others if entropies[name]["high"] >= entropies[best]["low"]]
    below = [name for name in others if name not in level]
    parts = [f"{best} has a higher entropy than {listed(below)}"] if below else []
    parts += [f"no difference shown between {best} and {listed(level)}"] if level else []
    return f"k = {k}: {'; '.join(parts) or f'{best} is the only set'}."
