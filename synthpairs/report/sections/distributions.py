"""Report section about stage `distributions`: synthetic and real pairs compared, and what the scores correlate with."""

from collections.abc import Mapping
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.distributions.figure import LABELS
from synthpairs.evaluation.distributions.results import MEASURES
from synthpairs.evaluation.distributions.sets import SETS
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability

RANKED_BY = {"top": "weighted score", "clip-only": "CLIP cosine", "ssim-only": "SSIM"}
CLEAR = 0.3  # least rank correlation that the text mentions, in absolute value


def section(results: dict[str, Any]) -> str:
    """Both sections of the report as Markdown."""
    sets, paired, n = results["sets"], results["coupled"], results["captions_with_both"]
    return "\n\n".join(
        [
            "## Synthetic and real pairs compared",
            "Real pairs are original images with their reference captions (at desk scale made of templates over emoji "
            "names). The figure shows the cumulative distribution of each measure in each set. All images are brought to one "
            "size (`distributions.image_size`) before SSIM, edges, entropy and regions are measured: SSIM depends on it.",
            "![cumulative distribution of each measure in each set](distributions.png)",
            "*Synthetic - real* is the mean paired difference between the generated and the original image of a "
            f"caption (n = {n:,}), with a 95% interval (concepts resampled) and p Holm-corrected over the table. "
            "*P(higher than real)* is the probability that a random pair of the set has a higher value than a random "
            "real pair; 50% means no difference. Captions were kept if their original agreed with them by this CLIP, "
            "which favours the cosines of real pairs.",
            _differences(results),
            _verdict(paired, n),
            f"Concepts: {'; '.join(_concepts(name, sets[name]['concepts']) for name in SETS)}.",
            "## What SSIM prefers",
            _preferred(results["preferences"]),
            _correlations(results["preferences"]),
            "Selection by each score: mean of the selected candidates minus mean of all candidates, in standard "
            "deviations. *Selected again* is the chance that a selected pair is selected again when captions are "
            "resampled with replacement, or when the cosines of another CLIP are used; at random it is the share that "
            "is selected.",
            _selections(results["rankings"]["strategies"]),
            _other_clip(results),
        ]
    )


def _differences(results: dict[str, Any]) -> str:
    against = results["against_real"]
    rows = []
    for measure in MEASURES:
        row = results["coupled"].get(measure)
        cells = [f"{row['real']:.3g}", _with_interval(row), probability(row["p"])] if row else ["-"] * 3
        rows.append([LABELS[measure], *cells, *(_with_interval(against[name][measure], ".0%") for name in against)])
    head = ["measure", "real", "synthetic - real", "p", *(f"{name}: P(higher than real)" for name in against)]
    return markdown_table(head, rows, words=[0])


def _verdict(paired: Mapping[str, Any], n: int) -> str:
    if not paired:
        return f"Too few to say: n = {n} caption{'s' * (n != 1)} with both images, 2 are needed."
    lists = {
        "higher": [_label(name) for name, row in paired.items() if row["shown"] and row["value"] > 0],
        "lower": [_label(name) for name, row in paired.items() if row["shown"] and row["value"] < 0],
        NO_DIFFERENCE: [_label(name) for name, row in paired.items() if not row["shown"]],
    }
    parts = [f"{word}: {', '.join(labels)}" for word, labels in lists.items() if labels]
    return f"Synthetic images against real ones of the same captions: {'; '.join(parts)}."


def _concepts(name: str, numbers: Mapping[str, float]) -> str:
    if not numbers["n"]:
        return f"`{name}` holds no pair"
    known = name != "real" and numbers["distance"] is not None
    distance = f", total variation distance to `real` {numbers['distance']:.0%}" if known else ""
    return f"`{name}` has {numbers['n']:,} (effective number {numbers['effective']:.1f}{distance})"


def _preferred(preferences: Mapping[str, Any]) -> str:
    clear = {
        name: row["value"]
        for name, row in preferences["ssim"]["correlations"].items()
        if row["low"] is not None and not row["low"] <= 0 <= row["high"] and abs(row["value"]) >= CLEAR
    }
    positive, negative = (", ".join(_label(name) for name, rho in clear.items() if rho * sign > 0) for sign in (1, -1))
    parts = [f"{word} with {names}" for word, names in (("positively", positive), ("negatively", negative)) if names]
    ssim, clip = ("-" if one["of_concept"] is None else f"{one['of_concept']:.0%}"
                  for one in (preferences["ssim"], preferences["clip_cosine"]))  # fmt: skip
    return (
        f"Over the candidates, SSIM correlates {' and '.join(parts) or f'with no measure at {CLEAR:g} or more'}. The concept "
        f"explains {ssim} of the variance of SSIM and {clip} of that of the CLIP cosine (omega squared). The table has "
        "Spearman's correlations with 95% intervals."
    )


def _label(measure: str) -> str:
    return LABELS[measure].split(",")[0]  # without the unit


def _correlations(preferences: Mapping[str, Any]) -> str:
    rows = []
    for name, label in LABELS.items():
        cells = [one["correlations"].get(name) for one in preferences.values()]
        rows.append([label, *("-" if cell is None else _with_interval(cell) for cell in cells)])
    return markdown_table(["measure", *(LABELS[score] for score in preferences)], rows, words=[0])


def _selections(strategies: Mapping[str, Any]) -> str:
    rows = []
    for name, label in RANKED_BY.items():
        numbers = strategies[name]
        means = [numbers["standardised"][measure] for measure in MEASURES]
        other = "-" if numbers["other_clip"] is None else f"{numbers['other_clip']:.1%}"
        rows.append(
            [
                label,
                *("-" if value is None else f"{value:+.2f}" for value in means),
                f"{numbers['concepts']['effective']:.1f}",
                f"{numbers['chance']:.1%}",
                f"{numbers['stability']:.1%}",
                other,
            ]
        )
    head = ["ranked by", *(LABELS[name] for name in MEASURES), "effective concepts", "selected", "selected again",
            "selected again with another CLIP"]  # fmt: skip
    return markdown_table(head, rows, words=[0])


def _other_clip(results: dict[str, Any]) -> str:
    agreement = results["rankings"]["cosines"]
    if agreement is None:
        return "No other CLIP was used (`distributions.other`)."
    if agreement["value"] is None:
        return f"The other CLIP is `{results['other']}`; its cosines or those of `scores` do not vary."
    return (
        f"The other CLIP is `{results['other']}`; its cosines and those of `scores` correlate at "
        f"{_with_interval(agreement)} (Spearman)."
    )


def _with_interval(row: Mapping[str, float | None], form: str = "+.3f") -> str:
    value, low, high = (None if row[name] is None else f"{row[name]:{form}}" for name in ("value", "low", "high"))
    return "-" if value is None else value if low is None else f"{value} [{low}, {high}]"
