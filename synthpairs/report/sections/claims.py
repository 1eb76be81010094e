"""Claims of Synth2 (2403.07750) and whether the measurements here support them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.experiments.results import CAPTIONING_TASKS
from synthpairs.report.results import MIXED, REAL, Synth2Results
from synthpairs.report.tables import estimate, listed, number

CAPTIONING = "desk_caption"  # the benchmark that stands for COCO captioning where neither COCO nor Flickr30k was asked
HOLDS, OPPOSITE, DEPENDS, UNMEASURED = "holds here", "the opposite here", "depends on k", "not measured"
TOP = 5  # clusters in the share, which is 1 for every set where there are no more of them
# Caption sets of the diversity analysis for the paper's generated captions (the first that was analysed) and real sets.
GENERATED, REFERENCE = ("filtered", "class-captions"), "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim of the paper and the result here."""

    claim: str
    paper: str
    here: str  # with n, seeds and interval
    verdict: str


def claims(results: Synth2Results, compared: pd.DataFrame) -> list[Claim]:
    """All claims that a run of the pipeline can test; `compared` as from `analysis.differences`."""
    diversity = results.diversity
    return [
        _captioning(results, compared),
        _diversity(diversity, "a smaller share of the captions in the five largest clusters",
                   "57.7% against 69.8% to 83.0%; k not stated", "top5_share", ".1%"),
        _diversity(diversity, "a higher entropy of the captions' clusters", "3.81, the highest; k and base not stated",
                   "entropy", ".2f"),
    ]  # fmt: skip


def claims_table(results: Sequence[Claim]) -> str:
    """Claim, paper, here, verdict."""
    rows = [[row.claim, row.paper, row.here, f"**{row.verdict}**"] for row in results]
    return markdown_table(["claim", "paper", "here", "verdict"], rows)


def claims_text(results: Sequence[Claim]) -> str:
    """The claims by verdict, as a sentence."""
    by_verdict: dict[str, list[str]] = {}
    for row in results:
        by_verdict.setdefault(row.verdict, []).append(row.claim)
    text = "; ".join(f"{listed(names)}: {verdict}" for verdict, names in by_verdict.items())
    return f"{text[0].upper()}{text[1:]}."


def _captioning(results: Synth2Results, compared: pd.DataFrame) -> Claim:
    claim, paper = "better captions with generated pairs mixed in", "COCO CIDEr 22.1 without, 33.4 with"
    rows = compared[(compared["one"] == MIXED) & (compared["other"] == REAL)].set_index("task")
    task = next((name for name in CAPTIONING_TASKS if name in rows.index), "")
    if not task:
        here = f"not evaluated for both arms `{MIXED}` and `{REAL}`"
        return Claim(claim=claim, paper=paper, here=here, verdict=UNMEASURED)
    row = rows.loc[task]
    values = results.results[results.results["task"] == task].set_index("arm")
    without, mixed = (number(float(values.loc[arm, "value"])) for arm in (REAL, MIXED))
    return Claim(
        claim=claim,
        paper=paper,
        here=f"{task}, {values.loc[REAL, 'metric']} (papers print 100 times the value): {without} without, {mixed} with, "
        f"difference {estimate(row, signed=True)}; n = {row['n']:,}, one seed",
        verdict={"": NO_DIFFERENCE, MIXED: HOLDS}.get(row["better"], OPPOSITE),
    )


def _diversity(diversity: dict[str, Any], claim: str, paper: str, measure: str, form: str) -> Claim:
    """A claim about generated captions against reference captions, for every k."""
    sets = diversity["sets"]
    generated = next((name for name in GENERATED if name in sets), "")
    if not generated or REFERENCE not in sets:
        here = f"{REFERENCE}, or each of {', '.join(GENERATED)}, is not in diversity.sets or has too few captions"
        return Claim(claim=claim, paper=paper, here=here, verdict=UNMEASURED)
    lines = [
        f"`{generated}` against `{REFERENCE}` (reference captions, made of templates at desk scale), "
        f"n = {diversity['captions_per_set']:,} of each, {diversity['runs']} seeds"
    ]
    verdicts = []
    for k in diversity["clusters"]:
        if measure == "top5_share" and k <= TOP:
            continue
        ours, theirs = (sets[name]["by_clusters"][str(k)][measure] for name in (generated, REFERENCE))
        verdicts.append(_by_intervals(ours, theirs, higher=measure == "entropy"))
        values = [f"{one['mean']:{form}} [{one['low']:{form}}, {one['high']:{form}}]" for one in (ours, theirs)]
        lines.append(f"k = {k}: {' against '.join(values)}, {verdicts[-1]}")
    verdict = UNMEASURED if not verdicts else verdicts[0] if len(set(verdicts)) == 1 else DEPENDS
    return Claim(claim=claim, paper=paper, here="<br>".join(lines), verdict=verdict)


def _by_intervals(ours: dict[str, float], theirs: dict[str, float], higher: bool) -> str:
    """The verdict on a claim that `ours` is higher (or lower), by intervals that do not overlap."""
    above, below = ours["low"] > theirs["high"], ours["high"] < theirs["low"]
    if not (above or below):
        return NO_DIFFERENCE
    return HOLDS if above == higher else OPPOSITE
