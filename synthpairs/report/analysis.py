"""Statistics behind the report: arms against each other and without the image, counts, correlation of the scores."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product

import numpy as np
import pandas as pd

from synthpairs.evaluation.statistics import detectable, holm, paired, shown
from synthpairs.report.params import Report
from synthpairs.report.results import ArmResults, SynthVLMResults
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import fused_score

YES_NO = ["task", "arm", "n", "accuracy", "precision", "recall", "F1", "share of yes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStatistics:
    """How CLIP cosine and SSIM relate over all scored candidates; NaN where nothing varies.

    A share is the covariance of a weighted score with the weighted sum over the sum's variance: shares add up to 1, and
    one is negative where a score works against the sum.
    """

    pearson: float
    spearman: float
    clip_share: float
    ssim_share: float


def weighted_sum(scores: pd.DataFrame, select: Select) -> pd.Series:
    """The paper's score of every candidate, whatever `strategy` and `normalisation` are."""
    return fused_score(scores, replace(select, normalisation="sum"))


def score_statistics(scores: pd.DataFrame, select: Select) -> ScoreStatistics:
    """Correlation of CLIP cosine and SSIM, and the share of each in the variance of the weighted sum."""
    clip, ssim = scores["clip_cosine"], scores["ssim"]
    if len(scores) < 2 or clip.nunique() < 2 or ssim.nunique() < 2:
        return ScoreStatistics(pearson=np.nan, spearman=np.nan, clip_share=np.nan, ssim_share=np.nan)
    total = weighted_sum(scores, select)
    weighted_clip = select.clip_weight * select.clip_scale * clip.clip(lower=0)
    clip_share = float(weighted_clip.cov(total) / total.var()) if total.nunique() > 1 else np.nan
    return ScoreStatistics(
        pearson=float(clip.corr(ssim)),
        spearman=float(clip.rank().corr(ssim.rank())),
        clip_share=clip_share,
        ssim_share=1 - clip_share,
    )


def against_blind(results: ArmResults, tasks: Sequence[str]) -> pd.DataFrame:
    """Results of the trained arms on those of `tasks` that were also evaluated without the image.

    The column `clear` is true where the arm is better with the image and the intervals do not overlap.
    """
    table = results.results
    rows = table[table["blind_value"].notna() & table["arm"].isin(results.arms) & table["task"].isin(tasks)]
    above, below = rows["low"] > rows["blind_high"], rows["high"] < rows["blind_low"]
    return rows.assign(clear=above.where(rows["higher_is_better"].astype(bool), below).astype(bool))


def differences(results: ArmResults, params: Report, arms: Iterable[tuple[str, str]] | None = None) -> pd.DataFrame:
    """`paired_differences` of these two arms each (None: every two) on every task; some, as MMBench, score no single answer."""
    answers = {arm: table[~table["blind"].astype(bool)] for arm, table in results.answers.items()}
    table = results.results
    lower_is_better = set(table["task"][~table["higher_is_better"].astype(bool)])
    comparisons = list(combinations(results.arms, 2) if arms is None else arms)
    tasks = sorted({task for rows in answers.values() for task in rows["task"]})
    return paired_differences(answers, tasks, comparisons, params.resamples, params.seed, lower_is_better)


def paired_differences(
    answers: Mapping[str, pd.DataFrame],
    tasks: Sequence[str],
    comparisons: Sequence[tuple[str, str]],
    resamples: int,
    seed: int,
    lower_is_better: Collection[str] = (),
) -> pd.DataFrame:
    """Differences of two sets of answers to the same questions, on each task; `answers` have the columns of ANSWERS.

    Columns: task, one, other, value, low, high, n, p, detectable, better.
    `value` is the mean of `one` minus `other` with its 95% interval, `p` is corrected for all rows by Holm, and `detectable`
    is the smallest true difference that is then shown with a power of 80%, if it is the only one. `better` names the better
    one where p is below 0.05 and the interval excludes 0, and is empty elsewhere. ValueError names the task and the sets
    whose questions differ.
    """
    rows = []
    for task, (one, other) in product(tasks, comparisons):
        ours, theirs = (answers[name][answers[name]["task"] == task].set_index("uid") for name in (one, other))
        try:
            result = paired(ours["score"], theirs["score"], list(ours["concept"]), resamples, seed)
        except ValueError as error:
            raise ValueError(f"{task}: {other} and {one}: {error}") from None
        better = one if (result.value > 0) != (task in lower_is_better) else other
        rows.append({"task": task, "one": one, "other": other, "better": better} | asdict(result))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p"], row["detectable"] = p, detectable(row["error"], row["clusters"] - 1, len(rows))
        row["better"] = row["better"] if shown(p, row["low"], row["high"]) else ""
    columns = ["task", "one", "other", "value", "low", "high", "n", "p", "detectable", "better"]
    return pd.DataFrame(rows, columns=columns)


def yes_no_measures(results: ArmResults) -> pd.DataFrame:
    """POPE's measures (Li et al. 2023, 2305.10355) on the tasks that every arm answers by yes or no.

    Columns: task, arm, n, accuracy; precision, recall and F1 of `yes`, NaN where none was said or right; share of yes.
    """
    measures = []
    for arm, table in results.answers.items():
        for task, answers in table[~table["blind"].astype(bool)].groupby("task"):
            said, right = answers["prediction"].str.lower(), answers["score"] == 1
            if not set(said) <= {"yes", "no"}:
                continue
            yes, truly = said == "yes", (said == "yes") == right
            precision, recall = truly[yes].mean(), yes[truly].mean()
            f1 = 2 * precision * recall / (precision + recall)
            measures.append([task, arm, len(said), right.mean(), precision, recall, f1, yes.mean()])
    table = pd.DataFrame(measures, columns=YES_NO)
    return table[table.groupby("task")["arm"].transform("size") == len(results.answers)].sort_values(
        "task", kind="stable"
    )


def funnel(results: SynthVLMResults) -> pd.DataFrame:
    """Number of captions or images at each step (rows) by source of the caption (columns)."""
    source = results.kept.set_index("uid")["source"]
    steps = {
        "captions read": pd.concat([results.kept["source"], results.rejected["source"]]),
        "captions kept": results.kept["source"],
        "images requested": pd.concat([results.manifest["uid"], results.failed["uid"]]).map(source),
        "images generated": results.manifest["uid"].map(source),
        "images scored": results.scores["uid"].map(source),
        "pairs selected": results.selected["uid"].map(source),
    }
    counts = pd.DataFrame({step: values.value_counts() for step, values in steps.items()}).T
    return counts.reindex(list(steps)).fillna(0).astype(int).sort_index(axis="columns")


def rejections(results: SynthVLMResults) -> pd.DataFrame:
    """Number of captions rejected for each reason (rows), by source (columns), most first."""
    sources = sorted(set(results.kept["source"]) | set(results.rejected["source"]))
    table = pd.crosstab(results.rejected["reason"], results.rejected["source"]).reindex(columns=sources, fill_value=0)
    return table.loc[sorted(table.index, key=lambda reason: (-int(table.loc[reason].sum()), reason))]


def concept_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean CLIP cosine of each concept's candidates, lowest first: columns mean, margin (half a 95% interval), n."""
    groups = scores.groupby("concept")["clip_cosine"]
    table = pd.DataFrame({"mean": groups.mean(), "margin": (1.96 * groups.sem()).fillna(0.0), "n": groups.size()})
    return table.rename(index={"": "(unknown)"}).sort_values(["mean", "margin"], kind="stable")
