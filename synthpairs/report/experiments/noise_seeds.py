"""Page of experiment `noise_seeds`."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.distributions.figure import LABELS
from synthpairs.evaluation.distributions.results import MEASURES
from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.sections.distributions import RANKED_BY
from synthpairs.report.tables import bullets

Runs = Sequence[dict[str, Any]]  # results of `make_distributions` for each noise seed, the main run's first
SETS = ("candidates", "selected")


def noise_seeds_page(runs: Runs) -> str:
    """The page as Markdown."""
    differences = []
    for measure in MEASURES:
        paired = measure in runs[0]["coupled"]
        difference = _values(runs, ["coupled", measure, "value"], "+.3g") if paired else "-"
        against_real = [_values(runs, ["against_real", name, measure, "value"], ".1%") for name in SETS]
        differences.append([LABELS[measure], difference, *against_real])
    correlations = [
        [LABELS[name], *(_interval(_correlations(run)[name]) for run in runs)] for name in _correlations(runs[0])
    ]
    selections = [
        [label, *(_values(runs, ["rankings", "strategies", name, *keys], form)
                  for keys, form in ((["stability"], ".1%"), (["other_clip"], ".1%"), (["concepts", "n"], "d")))]
        for name, label in RANKED_BY.items()
    ]  # fmt: skip
    parts = [
        "# The main run's images under other noise seeds",
        f"The captions of the main run were given images {len(runs)} times, by the same generator and settings with other noise. "
        "Each time the images were scored, selected and measured as by stage `distributions`. A cell has one value a noise "
        "seed, the main run's first; [the report](../README.md#synthetic-and-real-pairs-compared) says what is measured. "
        "`make experiments` runs this experiment.",
        answers(runs),
        "## Synthetic and real pairs compared",
        markdown_table(
            ["measure", "synthetic - real, paired", *(f"{name}: P(higher than real)" for name in SETS)],
            differences,
            words=[0],
        ),
        "## What SSIM prefers",
        markdown_table(
            ["Spearman's correlation of SSIM with", *(f"noise seed {index}" for index in range(len(runs)))],
            correlations,
            words=[0],
        ),
        "## Selections",
        markdown_table(
            ["ranked by", "selected again, captions resampled", "selected again with another CLIP", "concepts"],
            selections,
            words=[0],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def answers(runs: Runs) -> str:
    """What holds under every noise seed, one question a line."""
    differences = {
        measure: _common_sign([_difference_sign(run["coupled"][measure]) for run in runs])
        for measure in MEASURES
        if measure in runs[0]["coupled"]
    }
    correlations = {
        measure: _common_sign([_interval_sign(_correlations(run)[measure]) for run in runs])
        for measure in _correlations(runs[0])
    }
    differing = _by_sign(differences, {"higher": 1, "lower": -1, f"not the same in all, or {NO_DIFFERENCE}": 0})
    correlated = _by_sign(correlations, {"positive": 1, "negative": -1})
    return bullets(
        [
            "*How do synthetic images differ from real ones of the same captions?* In all "
            f"{len(runs)} noise seeds {differing or 'no caption has both images'}.",
            f"*What does SSIM correlate with?* In all {len(runs)} noise seeds, by intervals without 0, "
            f"{correlated or 'nothing'}.",
        ]
    )


def _by_sign(signs: Mapping[str, int], words: Mapping[str, int]) -> str:
    """The measures of each sign after its word."""
    lists = {
        word: [LABELS[name].split(",")[0] for name, sign in signs.items() if sign == wanted]
        for word, wanted in words.items()
    }
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in lists.items() if names)


def _common_sign(signs: Sequence[int]) -> int:
    return signs[0] if len(set(signs)) == 1 else 0


def _difference_sign(row: dict[str, Any]) -> int:
    return (1 if row["value"] > 0 else -1) if row["shown"] else 0


def _interval_sign(row: dict[str, Any]) -> int:
    """1 where the interval lies above 0, -1 below, else 0."""
    return 0 if row["low"] is None or row["high"] is None else int(row["low"] > 0) - int(row["high"] < 0)


def _correlations(run: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    correlations: dict[str, dict[str, float | None]] = run["preferences"]["ssim"]["correlations"]
    return correlations


def _interval(row: dict[str, float | None]) -> str:
    return "-" if row["value"] is None else f"{row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


def _values(runs: Runs, path: Sequence[str], form: str) -> str:
    """The values of all runs at a path of keys."""
    values: list[Any] = [reduce(lambda part, key: part[key], path, run) for run in runs]
    return ", ".join("-" if value is None else f"{value:{form}}" for value in values)
