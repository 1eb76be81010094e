"""The distributions in words and tables: the report's section, and the numbers that are tracked."""

from collections.abc import Mapping
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.distributions.figure import LABELS
from synthpairs.evaluation.distributions.results import MEASURES
from synthpairs.evaluation.distributions.sets import SETS
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability

RANKED_BY = {"top": "fused score", "clip-only": "CLIP cosine", "ssim-only": "SSIM"}
CLEAR = 0.3  # of a rank correlation, from which on the text names it; open


def section(results: dict[str, Any]) -> str:
    """Both sections of the report."""
    sets, couples, n = results["sets"], results["coupled"], results["captions_with_both"]
    return "\n\n".join(
        [
            "## Synthetic pairs beside real ones",
            "Real pairs are original pictures with their reference captions, at desk scale templates over emoji names. Lines: "
            "which share of a set's pairs has at most so much of a measure. The further two lines are apart, the more the sets "
            "differ.",
            "![lines: the share of each set's pairs up to a value of each measure](distributions.png)",
            "*Synthetic - real* is the mean difference between the two pictures of one caption, generated and original "
            f"(n = {n:,}), with its 95% interval (concepts resampled) and Holm's p over the table. *More than a real one*: how "
            "often a pair by chance from the set has more than a real pair by chance; 50% says that neither has more. A caption "
            "had to agree with its original by this CLIP to be kept, and nothing was asked of the generated picture yet: that "
            "favours the real cosines.",
            _differences(results),
            _verdict(couples, n),
            "Concepts: " + "; ".join(_concepts(name, sets[name]["concepts"]) for name in SETS) + ".",
            "## What SSIM prefers",
            _preferred(results["preferences"]),
            _correlations(results["preferences"]),
            "What a selection by each score takes, as the distance of its mean from the mean of all candidates in standard "
            "deviations; *again* is the chance that a pair which is taken is taken again: of captions drawn anew with "
            "replacement, or with the cosines of another CLIP in place of this one's. By chance it would be the share that is "
            "taken.",
            _strategies(results["rankings"]["strategies"]),
            _other(results),
        ]
    )


def _differences(results: dict[str, Any]) -> str:
    couples, against = results["coupled"], results["against_real"]
    rows = []
    for measure in MEASURES:
        one = couples.get(measure)
        cells = [f"{one['real']:.3g}", _with_interval(one), probability(one["p"])] if one else ["-"] * 3
        rows.append([LABELS[measure], *cells, *(_with_interval(against[name][measure], ".0%") for name in against)])
    head = ["measure", "real", "synthetic - real", "p", *(f"{name}: more than a real one" for name in against)]
    return markdown_table(head, rows, words=[0])


def _verdict(couples: Mapping[str, Any], n: int) -> str:
    if not couples:
        return f"Too few to say: n = {n} caption{'s' * (n != 1)} with both pictures, 2 are needed."
    more = [LABELS[name] for name, one in couples.items() if one["shown"] and one["value"] > 0]
    less = [LABELS[name] for name, one in couples.items() if one["shown"] and one["value"] < 0]
    even = [LABELS[name] for name, one in couples.items() if not one["shown"]]
    parts = [f"more: {', '.join(more)}"] if more else []
    parts += [f"less: {', '.join(less)}"] if less else []
    parts += [f"{NO_DIFFERENCE}: {', '.join(even)}"] if even else []
    return f"Of the same captions, the synthetic pictures have {'; '.join(parts)}."


def _concepts(name: str, one: Mapping[str, float]) -> str:
    if not one["n"]:
        return f"`{name}` holds no pair"
    away = (
        ""
        if name == "real" or one["distance"] is None
        else f"; {one['distance']:.0%} of its pairs would have to change concept to be spread as real"
    )
    return f"`{name}` has {one['n']:,}, worth {one['effective']:.1f} evenly frequent ones{away}"


def _preferred(preferences: Mapping[str, Any]) -> str:
    clear = {
        name: one["value"]
        for name, one in preferences["ssim"]["correlations"].items()
        if one["low"] is not None and not one["low"] <= 0 <= one["high"] and abs(one["value"]) >= CLEAR
    }
    more, less = ("; ".join(LABELS[name] for name, rho in clear.items() if rho * sign > 0) for sign in (1, -1))
    parts = [f"{how} ({names})" for how, names in (("more", more), ("less", less)) if names]
    ssim, clip = ("-" if one["of_concept"] is None else f"{one['of_concept']:.0%}"
                  for one in (preferences["ssim"], preferences["clip_cosine"]))  # fmt: skip
    return (
        f"Over the candidates, a high SSIM goes with {' and '.join(parts) or f'none of them at {CLEAR:g} or more'}. The concept "
        f"explains {ssim} of the variance of SSIM and {clip} of the CLIP cosine's (omega squared). Below: Spearman's correlation "
        "with its 95% interval."
    )


def _correlations(preferences: Mapping[str, Any]) -> str:
    rows = []
    for name, label in LABELS.items():
        cells = [one["correlations"].get(name) for one in preferences.values()]
        rows.append(
            [label, *("-" if cell is None or cell["value"] is None else _with_interval(cell) for cell in cells)]
        )
    return markdown_table(["measure", *(LABELS[score] for score in preferences)], rows, words=[0])


def _strategies(strategies: Mapping[str, Any]) -> str:
    rows = []
    for name, label in RANKED_BY.items():
        one = strategies[name]
        distances = [one["standardised"][measure] for measure in MEASURES]
        moved = ["-" if value is None else f"{value:+.2f}" for value in distances]
        other = "-" if one["other_clip"] is None else f"{one['other_clip']:.1%}"
        concepts = f"{one['concepts']['effective']:.1f}"
        rows.append([label, *moved, concepts, f"{one['chance']:.1%}", f"{one['stability']:.1%}", other])
    head = ["by", *(LABELS[name] for name in MEASURES), "effective concepts", "taken", "again", "again by another CLIP"]
    return markdown_table(head, rows, words=[0])


def _other(results: dict[str, Any]) -> str:
    agreement = results["rankings"]["cosines"]
    if agreement is None:
        return "No other CLIP was asked (`distributions.other`)."
    if agreement["value"] is None:
        return f"The other CLIP is `{results['other']}`; its cosines or those of `scores` do not vary."
    return (
        f"The other CLIP is `{results['other']}`; its cosines and those of `scores` correlate at {_with_interval(agreement)} "
        "(Spearman)."
    )


def _with_interval(one: Mapping[str, float | None], shape: str = "+.3f") -> str:
    value, low, high = (None if one[name] is None else f"{one[name]:{shape}}" for name in ("value", "low", "high"))
    return "-" if value is None else value if low is None else f"{value} [{low}, {high}]"
