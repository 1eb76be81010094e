"""The report page: its order, texts and figures. Answers and tables of single evaluations come from `sections`."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from synthpairs.report import figures, grids, samples, tables
from synthpairs.report.analysis import (
    against_blind,
    concept_means,
    differences,
    funnel,
    rejections,
    score_statistics,
    yes_no_measures,
)
from synthpairs.report.comparison.revisions import outdated_lines
from synthpairs.report.params import Report
from synthpairs.report.preset import preset_lines
from synthpairs.report.results import DESK_MODELS, SynthVLMResults
from synthpairs.report.sections import distributions, perplexity, preference
from synthpairs.report.sections.contamination import contamination
from synthpairs.report.sections.summary import summary
from synthpairs.report.tables import figure_link, folded, number
from synthpairs.selection.params import Select

SCORES = {"clip_cosine": "CLIP cosine", "ssim": "SSIM with its own small version"}
SELECTION_BY = {
    "top": "The selection takes the highest weighted scores.",
    "bottom": "The selection takes the lowest weighted scores.",
    "random": "The selection ignores both scores (strategy `random`).",
}
Figures = dict[str, bytes]  # PNG by file name


def build(
    results: SynthVLMResults, verdict: str, synth2: str, made_of: str, select: Select, params: Report, data: Path
) -> tuple[str, Figures]:
    """The page as Markdown and its figures, without those of the sections `synth2` and `made_of`; images are read from `data`.

    `verdict` is that of the Synth2 route. Equal inputs give equal bytes.
    """
    compared = differences(results, params)
    drawn: Figures = {}
    answers = [summary(results, against_blind(results, params.key_tasks), compared, params)]
    answers += [tables.values_table(results)] if results.arms else []
    sections = [
        *_images(results, select, params, data, drawn),
        *_arms(results, compared, select, drawn),
        preference.section(results.preference),
        perplexity.section(results.perplexity, results.results),
        distributions.section(results.distributions),
        synth2,
        *_counts(results, drawn),
        *_scores(results, select, drawn),
        contamination(results),
        made_of,
        *(_desk_models(results) if results.desk else ()),
    ]
    top = [
        "# Results",
        *preset_lines(),
        *outdated_lines(),
        *(answers if results.arms or not verdict else ()),
        verdict,
        *_strip(results, params, data, drawn),
        _contents(sections),
    ]
    return "\n\n".join(filter(None, [*top, *sections])) + "\n", drawn


def _strip(results: SynthVLMResults, params: Report, data: Path, drawn: Figures) -> list[str]:
    """A row of random selected pairs, the first of those in section *The pairs*."""
    cells = samples.synthetic_cells(samples.sample(results.selected, params.columns, params.seed), data)
    drawn["strip.png"] = grids.grid(cells, params.columns, params.image_size)
    return [figure_link("strip.png", f"{len(cells)} random pairs of the selection with their scores")]


def _contents(sections: Sequence[str]) -> str:
    """Links to the second-level headings, by the anchors that GitHub and GitLab give them."""
    headings = re.findall(r"^## (.+)$", "\n".join(sections), re.MULTILINE)
    return " · ".join(f"[{one}](#{re.sub(r'[^a-z0-9 -]', '', one.lower()).replace(' ', '-')})" for one in headings)


def _arms(results: SynthVLMResults, compared: pd.DataFrame, select: Select, drawn: Figures) -> list[str]:
    if results.results.empty:
        return ["## Arms compared", "No benchmark was run: `benchmark.tasks.pictures` is empty."]
    drawn["arms.png"] = figures.arms_figure(results.results, results.fixed_answers)
    selected = "the best by score" if select.strategy == "top" else f"those of the strategy `{select.strategy}`"
    return [
        "## Arms compared",
        "All arms share model and training and differ in their pairs, which are as many in each (`all-real` has all there "
        f"are): {selected} (`selected`), random ones of the same candidates (`random`), original images with their "
        "reference captions (`real`; at desk scale emoji drawings with captions made of templates). `untrained` has seen "
        "neither pairs nor instruction data. In brackets: 95% intervals, resampled over concepts (Wilson's where all "
        "answers score the same). *Without the image*: the same model gets the same questions without their images. *Best "
        "fixed answer*: one constant answer per kind of question.",
        figure_link("arms.png", "value and interval of every arm on every task"),
        folded("Values, with and without the image", tables.arms_table(results)),
        "All arms answer the same questions, so differences are paired by question. *p* is from a t-test clustered by "
        f"concept, Holm-corrected for the {len(compared)} comparisons of the table; a difference is shown where it is "
        "below 0.05 and the interval excludes 0. *Detectable* is the smallest true difference that this many questions "
        "show with a power of 80% after the correction, if it is the only one.",
        folded("Differences between the arms", tables.differences_table(compared)),
        folded("By kind of question", tables.categories_table(results)),
        tables.yes_no_table(yes_no_measures(results)),
        folded("Training metrics", tables.trainings_table(results)),
    ]


def _counts(results: SynthVLMResults, drawn: Figures) -> list[str]:
    steps, reasons = funnel(results), rejections(results)
    drawn["funnel.png"] = figures.funnel_figure(steps, reasons)
    parts = [
        "## Counts through the filters",
        "Rejected captions are kept with their reason in `data/captions/rejected.parquet`; images that could not be "
        "generated or scored are in `failed.parquet` of the stage, with the error. Source `human`: reference captions "
        "(made of templates over emoji names at desk scale, otherwise from the files of `captions.sources`). Source "
        "`model`: generated captions.",
        figure_link("funnel.png", "counts at each step by source, and rejections by reason"),
        tables.counts_table(steps, "step"),
        folded("Rejected captions by reason", tables.rejected_table(reasons, results.rejected)),
    ]
    if noise := results.caption_metrics.get("noise", {}):
        read, kept = (sum(counts[name] for counts in noise.values()) for name in ("read", "kept"))
        kinds = ", ".join(f"{counts['kept']} of {counts['read']} {kind}" for kind, counts in sorted(noise.items()))
        parts.append(f"Deliberately corrupted captions that were kept: {kept} of {read} ({kinds}).".replace("_", " "))
    return parts


def _scores(results: SynthVLMResults, select: Select, drawn: Figures) -> list[str]:
    statistics = score_statistics(results.scores, select)
    drawn["scores.png"] = figures.histograms_figure(results.scores, results.selected, SCORES)
    drawn["scatter.png"] = figures.scatter_figure(results.scores, results.selected, SCORES)
    clip, ssim = statistics.clip_share, statistics.ssim_share
    if clip != clip:
        shares = "The weighted score does not vary, so neither score decides the ranking."
    else:
        shares = (
            f"Of the variance of the weighted score ({select.clip_weight * select.clip_scale:g} x max(CLIP cosine, 0) "
            f"+ {select.ssim_weight:g} x SSIM) over all candidates, {clip:.0%} is due to the CLIP cosine and "
            f"{ssim:.0%} to SSIM: {'CLIP' if clip > ssim else 'SSIM'} decides the ranking."
        )
    strategy = select.strategy
    used = SELECTION_BY.get(strategy, f"The selection uses one score alone (strategy `{strategy}`).")
    if strategy in ("top", "bottom") and select.normalisation != "sum":
        used = (
            f"{used[:-1]} by `normalisation: {select.normalisation}`; what follows is about the weighted sum instead."
        )
    return [
        "## Scores",
        f"{used} {shares} The two scores correlate with r = {number(statistics.pearson)} (Pearson) and "
        f"{number(statistics.spearman)} (Spearman), n = {len(results.scores):,}.",
        figure_link("scores.png", "histograms of both scores, all candidates and the selected ones"),
        figure_link("scatter.png", "scatter plot of the two scores"),
    ]


def _images(results: SynthVLMResults, select: Select, params: Report, data: Path, drawn: Figures) -> list[str]:
    count, seed = params.pictures, params.seed
    best, worst = samples.extremes(results, select, count)
    selected = samples.sample(results.selected, count, seed)
    cells = {
        "best": ("The best {}", samples.synthetic_cells(best, data)),
        "worst": ("The worst {}", samples.synthetic_cells(worst, data)),
        "selection": ("{} random pairs of the selection", samples.synthetic_cells(selected, data)),
    }
    if "real" in results.pairs:
        real = samples.real_cells(samples.sample(results.pairs["real"], count, seed), data)
        cells["real"] = ("{} random real pairs, original images with their reference captions", real)
    parts = ["## The pairs", "Best and worst are by weighted score among all scored candidates, one per caption."]
    for name, (heading, of_grid) in cells.items():
        title = heading.format(len(of_grid))
        drawn[f"{name}.png"] = grids.grid(of_grid, params.columns, params.image_size)
        parts += [f"### {title}", figure_link(f"{name}.png", f"{title}: images with their captions")]
    concepts = concept_means(results.scores)
    if concepts.empty:
        return [*parts, "### By concept", "No candidate has a score."]
    drawn["concepts.png"] = figures.concepts_figure(concepts, "mean CLIP cosine")
    return [
        *parts,
        "### By concept",
        "Mean CLIP cosine of all candidates of a concept with its 95% interval; the median concept has "
        f"{int(concepts['n'].median())} images.",
        figure_link("concepts.png", "mean CLIP cosine of every concept"),
    ]


def _desk_models(results: SynthVLMResults) -> list[str]:
    if results.desk_models is None:
        return ["## The desk models", f"{DESK_MODELS} is missing: `python -m desk_models.publish` writes it."]
    return [
        "## The desk models",
        "Quality of the models that generate and score, on held-out drawings. `clip`: retrieval of one held-out "
        "drawing of every concept by the concept's text. `generator`: accuracy of an independent classifier (a linear "
        "probe on ImageNet features of real drawings) on generated images, as to the concept of the prompt; `referee "
        "on real`: the same classifier on real held-out drawings. Chance is one over the number of concepts, for the first five "
        "answers five times that. The masked generator is in the section about the Synth2 route.",
        tables.nested_table({name: one for name, one in results.desk_models.items() if name != "masked"}, "measure"),
    ]
