"""Page about experiment `noise_seeds`, and the lines that the report takes from it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.distributions.figure import LABELS
from synthpairs.evaluation.distributions.results import MEASURES
from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.sections.distributions import RANKED_BY

Paintings = Sequence[dict[str, Any]]  # what `make_distributions` gives of each
MORE_OR_LESS = {"more": 1, "less": -1}
SETS = ("candidates", "selected")


def noise_seeds_page(paintings: Paintings) -> str:
    """Markdown."""
    correlated = list(_correlations(paintings[0]))
    selections = [
        [label, *(_listed(paintings, ["rankings", "strategies", name, *keys], form)
                  for keys, form in ((["stability"], ".1%"), (["other_clip"], ".1%"), (["concepts", "n"], "d")))]
        for name, label in RANKED_BY.items()
    ]  # fmt: skip
    parts = [
        "# The pictures painted again",
        f"All captions of the main run, painted {len(paintings)} times: its own pictures, and others of the same generator and "
        "settings from other noise. Each painting went through scores, selection and the measures of stage `distributions` as if "
        "it were the main run's. In each cell the values of the paintings, the main run's first; what they mean is in "
        "[the report](../README.md#synthetic-pairs-beside-real-ones). `make experiments` repeats all of it.",
        answers(paintings),
        "## Synthetic pairs beside real ones",
        markdown_table(
            ["measure", "synthetic - real, one caption", *(f"{name}: more than a real one" for name in SETS)],
            [_against_real(paintings, measure) for measure in MEASURES],
            words=[0],
        ),
        "## What SSIM prefers",
        markdown_table(
            ["Spearman's correlation of SSIM with", *(f"painting {number}" for number in range(len(paintings)))],
            [[LABELS[name], *(_interval(_correlations(one)[name]) for one in paintings)] for name in correlated],
            words=[0],
        ),
        "## Selections",
        markdown_table(
            ["ranked by", "taken again, captions drawn anew", "taken again, by another CLIP", "concepts"], selections, words=[0]
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def answers(paintings: Paintings) -> str:
    """What holds in every painting, a line a question."""
    signs = {measure: _sign(paintings, measure) for measure in MEASURES if measure in paintings[0]["coupled"]}
    more = _listed_by_sign(signs, MORE_OR_LESS | {f"not the same in all, or {NO_DIFFERENCE}": 0})
    sides = {name: _side([_correlations(one)[name] for one in paintings]) for name in _correlations(paintings[0])}
    return (
        f"- *What do synthetic pictures have more of than real ones of the same captions?* In each of {len(paintings)} "
        f"paintings {more or 'no caption has both pictures'}.\n"
        "- *What goes with a high SSIM?* By rank correlations whose intervals leave out 0 in each "
        f"{_listed_by_sign(sides, MORE_OR_LESS) or 'nothing'}."
    )


def _listed_by_sign(signs: Mapping[str, int], words: Mapping[str, int]) -> str:
    """The measures of each sign after its word."""
    lists = {
        word: [LABELS[name].split(",")[0] for name, sign in signs.items() if sign == wanted]
        for word, wanted in words.items()
    }
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in lists.items() if names)


def _sign(paintings: Paintings, measure: str) -> int:
    """1 where every painting is shown to have more of it than the originals, -1 less, else 0."""
    rows = [one["coupled"][measure] for one in paintings]
    signs = {(1 if row["value"] > 0 else -1) if row["shown"] else 0 for row in rows}
    return signs.pop() if len(signs) == 1 else 0


def _correlations(painting: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    correlations: dict[str, dict[str, float | None]] = painting["preferences"]["ssim"]["correlations"]
    return correlations


def _side(rows: Sequence[dict[str, float | None]]) -> int:
    """1 where all intervals lie above 0, -1 below, else 0."""
    edges = [edge for row in rows for edge in (row["low"], row["high"]) if edge is not None]
    if len(edges) < 2 * len(rows):
        return 0
    return int(min(edges) > 0) - int(max(edges) < 0)


def _against_real(paintings: Paintings, measure: str) -> list[str]:
    paired = measure in paintings[0]["coupled"]
    cells = [LABELS[measure], _listed(paintings, ["coupled", measure, "value"], "+.3g") if paired else "-"]
    return cells + [_listed(paintings, ["against_real", name, measure, "value"], ".1%") for name in SETS]


def _interval(row: dict[str, float | None]) -> str:
    return "-" if row["value"] is None else f"{row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


def _listed(paintings: Paintings, path: Sequence[str], form: str) -> str:
    """The paintings' values at a path of keys."""
    values: list[Any] = [reduce(lambda part, key: part[key], path, one) for one in paintings]
    return ", ".join("-" if value is None else f"{value:{form}}" for value in values)
