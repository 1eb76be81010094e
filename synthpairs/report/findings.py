"""What the numbers say: arms against their blind selves and each other, counts, and what decided the ranking."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from synthpairs.evaluation.statistics import holm, paired, shown
from synthpairs.report.inputs import Comparison, Inputs
from synthpairs.report.params import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How the selection ranked: by clip_weight * max(cosine, 0) + ssim_weight * SSIM, unless `strategy` or `fusion` differ."""

    strategy: str
    fusion: str
    clip_weight: float  # its scale included
    ssim_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How the two scores relate over all scored candidates; NaN where nothing varies.

    A share is the covariance of a weighted score with the fused one over the fused variance: they sum to 1, and one
    is negative where a score works against the sum.
    """

    pearson: float
    spearman: float
    clip: float
    ssim: float


def fused(scores: pd.DataFrame, ranking: Ranking) -> pd.Series:
    """The fused score of every candidate, whatever the strategy made of it."""
    return ranking.clip_weight * scores["clip_cosine"].clip(lower=0) + ranking.ssim_weight * scores["ssim"]


def shares(scores: pd.DataFrame, ranking: Ranking) -> Shares:
    """Correlations of CLIP cosine and SSIM, and which of them the fused score follows."""
    clip, ssim = scores["clip_cosine"], scores["ssim"]
    if len(scores) < 2 or clip.nunique() < 2 or ssim.nunique() < 2:
        return Shares(pearson=np.nan, spearman=np.nan, clip=np.nan, ssim=np.nan)
    total = fused(scores, ranking)
    weighted = ranking.clip_weight * clip.clip(lower=0)
    of_clip = float(weighted.cov(total) / total.var()) if total.nunique() > 1 else np.nan
    pearson, spearman = float(clip.corr(ssim)), float(clip.rank().corr(ssim.rank()))
    return Shares(pearson=pearson, spearman=spearman, clip=of_clip, ssim=1 - of_clip)


def against_blind(inputs: Comparison, tasks: Sequence[str]) -> pd.DataFrame:
    """The trained arms' `results` on those of these tasks that were asked, also without the picture, with a column `clear`.

    It is true where an arm is better than blind, and the intervals do not touch.
    """
    results = inputs.results[inputs.results["blind_value"].notna()]
    rows = results[results["arm"].isin(inputs.arms) & results["task"].isin(tasks)]
    above, below = rows["low"] > rows["blind_high"], rows["high"] < rows["blind_low"]
    return rows.assign(clear=above.where(rows["higher_is_better"].astype(bool), below).astype(bool))


def differences(inputs: Comparison, params: Report, couples: Iterable[tuple[str, str]] | None = None) -> pd.DataFrame:
    """Couples of trained arms (None: every two) on every task, answer by answer.

    Columns: task, one, other, value, low, high, n, p, detectable, better.
    `value` is the mean of `one` minus `other` with its 95% interval, `p` corrected for all rows by Holm; `better` names the
    arm that is: p is below 0.05 and the interval does not hold 0. Else it is empty, and no difference is shown.
    """
    seen = {arm: table[~table["blind"].astype(bool)] for arm, table in inputs.answers.items() if arm in inputs.arms}
    chosen = list(combinations(inputs.arms, 2) if couples is None else couples)
    rows = []
    for task, numbers in inputs.results.groupby("task", sort=True):
        for one, other in chosen:
            ours, theirs = (seen[arm][seen[arm]["task"] == task].set_index("uid") for arm in (one, other))
            found = paired(ours["score"], theirs["score"], list(ours["concept"]), params.resamples, params.seed)
            leads = one if (found.value > 0) == bool(numbers["higher_is_better"].iloc[0]) else other
            rows.append({"task": task, "one": one, "other": other, "leads": leads} | asdict(found))
    table = pd.DataFrame(
        rows, columns=["task", "one", "other", "value", "low", "high", "n", "p", "detectable", "leads"]
    )
    table["p"] = holm(list(table["p"]))
    told = [shown(row["p"], row["low"], row["high"]) for row in table.to_dict("records")]
    return table.assign(better=table["leads"].where(told, "")).drop(columns="leads")


def funnel(inputs: Inputs) -> pd.DataFrame:
    """How many of each source (columns) reach each step (rows)."""
    source = inputs.kept.set_index("uid")["source"]
    planned = pd.concat([inputs.manifest["uid"], inputs.unmade["uid"]])
    steps = {
        "captions read": pd.concat([inputs.kept["source"], inputs.rejected["source"]]),
        "captions kept": inputs.kept["source"],
        "pictures asked for": planned.map(source),
        "pictures made": inputs.manifest["uid"].map(source),
        "pictures scored": inputs.scores["uid"].map(source),
        "pairs selected": inputs.selected["uid"].map(source),
    }
    counted = pd.DataFrame({step: values.value_counts() for step, values in steps.items()}).T
    return counted.reindex(list(steps)).fillna(0).astype(int).sort_index(axis="columns")


def rejections(inputs: Inputs) -> pd.DataFrame:
    """How many captions of each source (columns) each filter (rows) rejected, most first."""
    sources = sorted(set(inputs.kept["source"]) | set(inputs.rejected["source"]))
    table = pd.crosstab(inputs.rejected["reason"], inputs.rejected["source"]).reindex(columns=sources, fill_value=0)
    order = sorted(table.index, key=lambda reason: (-int(table.loc[reason].sum()), reason))
    return table.loc[order]


def concept_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean CLIP cosine of each concept's candidates, lowest first: columns mean, margin (half a 95% interval), n."""
    groups = scores.groupby("concept")["clip_cosine"]
    table = pd.DataFrame({"mean": groups.mean(), "margin": (1.96 * groups.sem()).fillna(0.0), "n": groups.size()})
    return table.rename(index={"": "(unknown)"}).sort_values(["mean", "margin"], kind="stable")
