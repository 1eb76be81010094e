"""What Synth2 (2403.07750) claims, what was measured here, and whether that shows it, opposes it or leaves it open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.codes import MIXED, REAL, Codes
from synthpairs.report.sections.evidence import ROUTES, reached
from synthpairs.report.sections.summary import listed
from synthpairs.report.tables import interval, number

CAPTIONING = "desk_caption"  # the benchmark that stands for COCO's captions
HOLDS, OPPOSITE, DEPENDS, UNMEASURED = "holds here", "the opposite here", "depends on k", "not measured"
TOP = 5  # clusters in the share; with no more of them it is 1 for every set
# Sets of the diversity analysis that stand for the paper's: its generated captions, the first that there is; those of
# its real sets, for which reference captions stand.
WRITTEN, HUMAN = ("screened", "invented"), "human"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of the paper beside what was found here."""

    claim: str
    paper: str
    here: str  # with n, seeds and interval
    verdict: str


def claims(codes: Codes, compared: pd.DataFrame) -> list[Claim]:
    """All that the pipeline can say something about; `compared` as from `findings.differences`."""
    return [_captioning(codes, compared), _steps(codes.curves), _speed(codes.speed), *_diversity(codes.diversity)]


def claims_table(found: Sequence[Claim]) -> str:
    """Claim, paper, here, verdict."""
    rows = [[one.claim, one.paper, one.here, f"**{one.verdict}**"] for one in found]
    return markdown_table(["claim", "paper", "here", "verdict"], rows)


def claims_told(found: Sequence[Claim]) -> str:
    """Which claims hold and which do not, as a sentence."""
    by_verdict: dict[str, list[str]] = {}
    for one in found:
        by_verdict.setdefault(one.verdict, []).append(one.claim)
    told = "; ".join(f"{verdict}: {listed(names)}" for verdict, names in by_verdict.items())
    return f"{told[0].upper()}{told[1:]}."


def _captioning(codes: Codes, compared: pd.DataFrame) -> Claim:
    told = {"claim": "better captions with generated pairs mixed in", "paper": "COCO CIDEr 22.1 without, 33.4 with"}
    rows = compared[(compared["task"] == CAPTIONING) & (compared["one"] == MIXED) & (compared["other"] == REAL)]
    if rows.empty:
        return Claim(**told, here=f"not asked of both arms `{MIXED}` and `{REAL}`", verdict=UNMEASURED)
    row = rows.iloc[0]
    values = codes.results[codes.results["task"] == CAPTIONING].set_index("arm")
    without, mixed = (number(float(values.loc[arm, "value"])) for arm in (REAL, MIXED))
    difference = f"{number(float(row['value']), True)}{interval(row['low'], row['high'], True)}"
    verdicts = {"": NO_DIFFERENCE, MIXED: HOLDS}
    return Claim(
        **told,
        here=f"{CAPTIONING}, {values.loc[REAL, 'metric']} (papers print 100 times it): {without} without, {mixed} with, "
        f"difference {difference}; n = {row['n']:,}, one seed",
        verdict=verdicts.get(row["better"], OPPOSITE),
    )


def _steps(curves: dict[str, Any]) -> Claim:
    found, seeds = reached(curves), len(curves["seeds"])
    return Claim(
        claim="fewer steps to the level of real pairs",
        paper="about 1/3 of them, 3 seeds",
        here=f"{found.told()}; {curves['task']}, n = {curves['n']:,}, {seeds} seeds",
        verdict=_steps_verdict((found.step, *found.by_seed), found.own),
    )


def _steps_verdict(steps: Sequence[int | None], own: int) -> str:
    """`steps` at which the mean and every seed are there, against the real arm's own."""
    if all(step is not None and step < own for step in steps):
        return HOLDS
    return OPPOSITE if all(step is None or step > own for step in steps) else NO_DIFFERENCE


def _speed(speed: dict[str, Any]) -> Claim:
    median, low, high = speed["ratio"]
    ours, theirs = (speed["steps_per_s"][route][0] for route in ROUTES)
    return Claim(
        claim="faster training than through pixels",
        paper="2.08 against 1.66 steps/s: 1.25 times",
        here=f"{ours:.3g} against {theirs:.3g} steps/s: {median:.2f} times [{low:.2f}, {high:.2f}]; "
        f"n = {speed['n_runs']:,} runs",
        verdict=HOLDS if low > 1 else OPPOSITE if high < 1 else NO_DIFFERENCE,
    )


def _diversity(diversity: dict[str, Any]) -> list[Claim]:
    """Both claims about generated captions against real ones, for every k."""
    share = {"claim": "a smaller share of the captions in the five largest clusters",
             "paper": "57.7% against 69.8% to 83.0%; k not stated"}  # fmt: skip
    entropy = {"claim": "a higher entropy of the captions' clusters",
               "paper": "3.81, the highest; k and base not stated"}  # fmt: skip
    sets, clusters = diversity["sets"], diversity["clusters"]
    written = next((name for name in WRITTEN if name in sets), "")
    if not written or HUMAN not in sets:
        here = f"{HUMAN}, or each of {', '.join(WRITTEN)}, is not in diversity.sets or holds too few captions"
        return [Claim(**told, here=here, verdict=UNMEASURED) for told in (share, entropy)]
    about = (
        f"`{written}` against `{HUMAN}` (reference captions, templates at desk scale), "
        f"n = {diversity['captions_per_set']:,} of each, {diversity['runs']} seeds"
    )
    found = []
    for told, measure, form, chosen in (
        (share, "top5_share", ".1%", [k for k in clusters if k > TOP]),
        (entropy, "entropy", ".2f", clusters),
    ):
        lines, verdicts = [about], []
        for k in chosen:
            ours, theirs = (sets[name]["by_clusters"][str(k)][measure] for name in (written, HUMAN))
            verdicts.append(_ahead(ours, theirs, upwards=measure == "entropy"))
            shown = [f"{one['mean']:{form}} [{one['low']:{form}}, {one['high']:{form}}]" for one in (ours, theirs)]
            lines.append(f"k = {k}: {' against '.join(shown)}, {verdicts[-1]}")
        verdict = UNMEASURED if not verdicts else verdicts[0] if len(set(verdicts)) == 1 else DEPENDS
        found.append(Claim(**told, here="<br>".join(lines), verdict=verdict))
    return found


def _ahead(ours: dict[str, float], theirs: dict[str, float], upwards: bool) -> str:
    """By intervals that do not touch."""
    above, below = ours["low"] > theirs["high"], ours["high"] < theirs["low"]
    if not (above or below):
        return NO_DIFFERENCE
    return HOLDS if above == upwards else OPPOSITE
