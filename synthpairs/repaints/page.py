"""The page about the paintings, and the lines that the report takes from it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from synthpairs.distributions.figure import LABELS
from synthpairs.distributions.page import RANKED_BY
from synthpairs.distributions.results import MEASURES
from synthpairs.markdown import markdown_table
from synthpairs.statistics import NO_DIFFERENCE

Results = Sequence[dict[str, Any]]


def repaints_page(results: Results) -> str:
    """Markdown; `results` has what `make_distributions` says of each painting."""
    parts = [
        "# The pictures painted again",
        f"All captions of the main run, painted {len(results)} times: its own pictures, and others of the same generator and "
        "settings from other noise. Each painting went through scores, selection and the measures of stage `distributions` as if "
        "it were the main run's. In each cell the values of the paintings, the main run's first; what they mean is in "
        "[the report](../README.md#synthetic-pairs-beside-real-ones). `make repaints` repeats all of it.",
        answers(results),
        "## Synthetic pairs beside real ones",
        _differences(results),
        "## What SSIM prefers",
        _correlations(results),
        "## Selections",
        _selections(results),
    ]
    return "\n\n".join(parts) + "\n"


def answers(results: Results) -> str:
    """What holds in every painting, a line a question."""
    signs = {measure: _sign(results, measure) for measure in MEASURES if measure in results[0]["coupled"]}
    kinds = {"more": 1, "less": -1, f"not the same in all, or {NO_DIFFERENCE}": 0}
    told = _told(signs, kinds)
    goes = _told({name: _side(_correlation(results, name)) for name in _compared(results)}, {"more": 1, "less": -1})
    return "\n".join(
        [
            f"- *What do synthetic pictures have more of than real ones of the same captions?* In each of {len(results)} "
            f"paintings {told or 'no caption has both pictures'}.",
            f"- *What goes with a high SSIM?* By rank correlations whose intervals leave out 0 in each {goes or 'nothing'}.",
        ]
    )


def _told(signs: Mapping[str, int], kinds: Mapping[str, int]) -> str:
    """The measures of each kind, which is a sign."""
    found = {
        kind: [LABELS[name].split(",")[0] for name, sign in signs.items() if sign == wanted]
        for kind, wanted in kinds.items()
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in found.items() if names)


def _sign(results: Results, measure: str) -> int:
    """1 where every painting shows more of it than the originals have, -1 less, else 0."""
    found = {(one["coupled"][measure]["shown"], one["coupled"][measure]["value"] > 0) for one in results}
    return {(True, True): 1, (True, False): -1}.get(found.pop(), 0) if len(found) == 1 else 0


def _compared(results: Results) -> list[str]:
    return list(results[0]["preferences"]["ssim"]["correlations"])


def _correlation(results: Results, name: str) -> list[dict[str, float | None]]:
    return [one["preferences"]["ssim"]["correlations"][name] for one in results]


def _side(rows: Sequence[dict[str, float | None]]) -> int:
    """1 where all intervals lie above 0, -1 below, else 0."""
    edges = [edge for row in rows for edge in (row["low"], row["high"]) if edge is not None]
    if len(edges) < 2 * len(rows):
        return 0
    return int(min(edges) > 0) - int(max(edges) < 0)


def _differences(results: Results) -> str:
    rows = []
    for measure in MEASURES:
        coupled = measure in results[0]["coupled"]
        cells = [_listed(results, ["coupled", measure, "value"], "+.3g") if coupled else "-"]
        cells += [
            _listed(results, ["against_real", name, measure, "value"], ".1%") for name in ("candidates", "selected")
        ]
        rows.append([LABELS[measure], *cells])
    head = [
        "measure",
        "synthetic - real, one caption",
        "candidates: more than a real one",
        "selected: more than a real one",
    ]
    return markdown_table(head, rows, words=[0])


def _correlations(results: Results) -> str:
    rows = [[LABELS[name], *map(_interval, _correlation(results, name))] for name in _compared(results)]
    head = ["Spearman's correlation of SSIM with", *(f"painting {number}" for number in range(len(results)))]
    return markdown_table(head, rows, words=[0])


def _interval(row: dict[str, float | None]) -> str:
    return "-" if row["value"] is None else f"{row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


def _selections(results: Results) -> str:
    rows = []
    for name, told in RANKED_BY.items():
        at = ["rankings", "strategies", name]
        cells = [_listed(results, [*at, key], ".1%") for key in ("stability", "other_clip")]
        rows.append([told, *cells, _listed(results, [*at, "concepts", "n"], "d")])
    head = ["ranked by", "taken again, captions drawn anew", "taken again, by another CLIP", "concepts"]
    return markdown_table(head, rows, words=[0])


def _listed(results: Results, path: Sequence[str], shape: str) -> str:
    """The paintings' values at a path of keys."""
    values: list[Any] = [reduce(lambda part, key: part[key], path, one) for one in results]
    return ", ".join("-" if value is None else f"{value:{shape}}" for value in values)
