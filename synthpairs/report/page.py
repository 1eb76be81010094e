"""The page itself: what is said, in which order, next to which picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from synthpairs.report import figures, grids, samples, tables
from synthpairs.report.findings import Ranking, against_blind, concept_means, differences, funnel, rejections, shares
from synthpairs.report.graph import Stage, mermaid, stage_table
from synthpairs.report.inputs import DESK_MODELS, Inputs
from synthpairs.report.params import Report
from synthpairs.report.sections.contamination import hygiene
from synthpairs.report.sections.summary import summary
from synthpairs.report.tables import folded, image, number

SCORES = {"clip_cosine": "CLIP cosine", "ssim": "SSIM with its own small version"}
_GRIDS = {
    "best": "The best {count}",
    "worst": "The worst {count}",
    "selection": "A random {count} of the selection",
    "real": "A random {count} of the real pairs, original pictures with their reference captions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """What other packages say about their own results, as Markdown."""

    strategies: str  # the answers alone: the experiment has a page of its own
    seeds: str  # likewise
    noise_seeds: str  # likewise
    preference: str
    perplexity: str
    distributions: str
    synth2: str


def build(
    inputs: Inputs, sections: Sections, stages: Sequence[Stage], ranking: Ranking, params: Report, data: Path
) -> tuple[str, dict[str, bytes]]:
    """The page as Markdown and its PNGs by file name, less those of `sections`; pictures are read from `data`.

    Equal inputs give equal bytes.
    """
    compared = differences(inputs, params)
    judged = against_blind(inputs, params.key_tasks)
    drawn: dict[str, bytes] = {}
    parts = [
        "# What the pairs are worth",
        summary(inputs, judged, compared, params),
        "About pairs whose pictures are never drawn: [the Synth2 route](#the-synth2-route-pictures-that-are-never-drawn).",
        "## The same questions over several seeds",
        "These experiments are run apart from the main run; each page says from which commit its results are.",
        sections.strategies,
        "Every number behind that, and how it came about: [strategies](experiments/strategies.md). The arms below come from one "
        "run; drawn and trained again under other seeds ([seeds](experiments/seeds.md)) they say:",
        sections.seeds,
        "And its captions, painted again with other noise ([noise seeds](experiments/noise_seeds.md)):",
        sections.noise_seeds,
        *_arms(inputs, compared, drawn),
        sections.preference,
        sections.perplexity,
        sections.distributions,
        sections.synth2,
        *_pipeline(stages),
        *_counts(inputs, drawn),
        *_scores(inputs, ranking, drawn),
        *_pictures(inputs, ranking, params, data, drawn),
        hygiene(inputs),
        *_desk_models(inputs),
    ]
    return "\n\n".join(parts) + "\n", drawn


def _arms(inputs: Inputs, compared: pd.DataFrame, drawn: dict[str, bytes]) -> list[str]:
    if inputs.results.empty:
        return ["## Arms side by side", "No benchmark was asked: `benchmark.tasks.pictures` is empty."]
    drawn["arms.png"] = figures.arms_figure(inputs.results, inputs.fixed_answers)
    return [
        "## Arms side by side",
        "Every arm is the same model, trained in the same way on as many pairs; only the pairs differ: the best by "
        "score (`selected`), any of the same candidates (`random`), original pictures with their reference captions "
        "(`real`; at desk scale drawings with templates over emoji names). `untrained` has "
        "seen nothing. In brackets: 95% intervals, resampled over concepts. *Without the picture* is the same "
        "model asked the same questions blind; *best fixed answer* is what one answer to all questions of a kind "
        "scores.",
        image("arms.png", "a dot and its interval for every arm on every task"),
        tables.arms_table(inputs),
        "### Do the arms differ?",
        "The arms answered the same questions, so they are compared question by question. *p* is of a t-test clustered "
        f"by concept, corrected by Holm for the {len(compared)} comparisons of the table: a difference is shown where it is "
        "below 0.05. *Detectable* is the smallest true difference that this many questions would show four times in five "
        "before the correction.",
        tables.differences_table(compared),
        folded("By kind of question", tables.categories_table(inputs)),
        folded("The trainings", tables.trainings_table(inputs)),
    ]


def _pipeline(stages: Sequence[Stage]) -> list[str]:
    return [
        "## The pipeline",
        "`dvc repro` runs it. Rounded boxes come with the repository; arrows between stages that "
        "follow from others are left out.",
        mermaid(stages),
        stage_table(stages),
        "Every stage also writes its numbers to `reports/metrics/`.",
    ]


def _counts(inputs: Inputs, drawn: dict[str, bytes]) -> list[str]:
    steps, reasons = funnel(inputs), rejections(inputs)
    drawn["funnel.png"] = figures.funnel_figure(steps, reasons)
    parts = [
        "## Counts through the filters",
        "Nothing is lost: what is not kept is in `data/captions/rejected.parquet` with its reason, and a picture that "
        "could not be made or scored is in the stage's `failed.parquet` with its error. Source `human` holds the reference "
        "captions: templates over emoji names at desk scale, else what a file of `captions.sources` holds; source `model` what "
        "the language model wrote.",
        image("funnel.png", "bars: what reaches each step by source, and what the filters rejected for"),
        tables.counts_table(steps, "step"),
        tables.rejected_table(reasons, inputs.rejected),
    ]
    noise = inputs.metrics["captions"].get("noise", {})
    if noise:
        read, kept = (sum(counts[name] for counts in noise.values()) for name in ("read", "kept"))
        missed = ", ".join(f"{counts['kept']} of {counts['read']} {kind}" for kind, counts in sorted(noise.items()))
        parts.append(f"Kept of {read} captions spoilt on purpose: {kept} ({missed}).".replace("_", " "))
    return parts


def _scores(inputs: Inputs, ranking: Ranking, drawn: dict[str, bytes]) -> list[str]:
    found = shares(inputs.scores, ranking)
    drawn["scores.png"] = figures.histograms_figure(inputs.scores, inputs.selected, SCORES)
    drawn["scatter.png"] = figures.scatter_figure(inputs.scores, inputs.selected, SCORES)
    weights = f"{ranking.clip_weight:g} x max(CLIP cosine, 0) + {ranking.ssim_weight:g} x SSIM"
    if found.clip != found.clip:
        decided = "The fused score does not vary, so neither score decided anything."
    else:
        leader = "CLIP" if found.clip > found.ssim else "SSIM"
        decided = (
            f"Of the variance of the fused score ({weights}) over all candidates {found.clip:.0%} comes with the CLIP "
            f"cosine and {found.ssim:.0%} with SSIM: {leader} decides that ranking."
        )
    used = {
        "top": "The selection takes the highest fused scores.",
        "rear": "The selection takes the lowest fused scores.",
        "random": "The selection ignores both scores (strategy `random`).",
    }.get(ranking.strategy, f"The selection uses one score alone (strategy `{ranking.strategy}`).")
    if ranking.strategy in ("top", "rear") and ranking.fusion != "sum":
        used = f"{used[:-1]} by `fusion: {ranking.fusion}`; what follows is about the weighted sum instead."
    return [
        "## Scores",
        f"{used} {decided} The two correlate with r = {number(found.pearson)} (Pearson) and "
        f"{number(found.spearman)} (Spearman), n = {len(inputs.scores):,}.",
        image("scores.png", "histograms of both scores, all candidates against the selected ones"),
        image("scatter.png", "scatter plot of the two scores"),
    ]


def _pictures(inputs: Inputs, ranking: Ranking, params: Report, data: Path, drawn: dict[str, bytes]) -> list[str]:
    best, worst = samples.extremes(inputs, ranking, params.pictures)
    shown = {
        "best": samples.synthetic_cells(best, data),
        "worst": samples.synthetic_cells(worst, data),
        "selection": samples.synthetic_cells(samples.sample(inputs.selected, params.pictures, params.seed), data),
    }
    if "real" in inputs.pairs:
        shown["real"] = samples.real_cells(samples.sample(inputs.pairs["real"], params.pictures, params.seed), data)
    parts = ["## The pairs", "Best and worst are by fused score among all scored candidates, one per caption."]
    for name, cells in shown.items():
        title = _GRIDS[name].format(count=len(cells))
        drawn[f"{name}.png"] = grids.grid(cells, params.columns, params.side)
        parts += [f"### {title}", image(f"{name}.png", f"{title}: pictures with their captions")]
    concepts = concept_means(inputs.scores)
    if concepts.empty:
        return [*parts, "### By concept", "No candidate has a score."]
    drawn["concepts.png"] = figures.concepts_figure(concepts, "mean CLIP cosine")
    parts += [
        "### By concept",
        f"Mean CLIP cosine of all candidates of a concept with its 95% interval; in the median a concept has "
        f"{int(concepts['n'].median())} pictures.",
        image("concepts.png", "bars: mean CLIP cosine of every concept"),
    ]
    return parts


def _desk_models(inputs: Inputs) -> list[str]:
    if inputs.desk_models is None:
        return ["## The desk models", f"{DESK_MODELS} is missing: `python -m desk_models.publish` writes it."]
    return [
        "## The desk models",
        "What painted and scored, measured on drawings that no training saw. `clip`: each concept's text against "
        "one held-out drawing of every concept. `generator`: how often an independent referee (a linear probe on "
        "ImageNet features of real drawings) names what a generated picture was asked to show; `referee on real` "
        "is the same referee on real held-out drawings. Chance is 1, or 5, in the number of concepts. The masked "
        "generator is in the section about its route.",
        tables.nested_table({name: one for name, one in inputs.desk_models.items() if name != "masked"}, "measure"),
    ]
