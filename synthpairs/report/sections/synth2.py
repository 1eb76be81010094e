"""Report section on the Synth2 route: training on VQ tokens instead of images."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from synthpairs.captions.reasons import REASONS
from synthpairs.core.markdown import literal, markdown_table
from synthpairs.report import figures, grids, tables
from synthpairs.report.analysis import against_blind, differences, yes_no_measures
from synthpairs.report.experiments.learning_curves import fewer_steps
from synthpairs.report.experiments.speed import faster
from synthpairs.report.params import Report
from synthpairs.report.results import DESK_MODELS, MIXED, REAL, SYNTHETIC, Synth2Results
from synthpairs.report.samples import concept_matched
from synthpairs.report.sections.claims import Claim, claims, claims_table, claims_text
from synthpairs.report.sections.summary import by_kind, comparison, image_use, standing
from synthpairs.report.tables import bullets, figure_link, folded, number

QUESTION = "**Do generated pairs of VQ tokens help a vision-language model beside real ones?**"
QUESTIONS = {
    (MIXED, REAL): "*Does it help to draw generated pairs in place of some real ones?*",
    (SYNTHETIC, REAL): "*Are generated pairs alone as good as real ones?*",
}
DRAWS = {
    "real_draws": "draws of real pairs",
    "real_pairs": "different real pairs",
    "synthetic_draws": "draws of generated pairs",
    "synthetic_pairs": "different generated pairs",
}
UNMEASURED = "Fewer steps and faster training are measured by `make experiments` and `make speed`."
CLAIMS = {"learning_curves": fewer_steps, "speed": faster}
Decode = Callable[[Sequence[str]], Sequence[bytes]]  # PNG of the VQ tokens of each pair, by the pairs' keys


def synth2(results: Synth2Results, diversity: str, decode: Decode, params: Report) -> tuple[str, str, dict[str, bytes]]:
    """Verdict for the top of the page, section, and its figures as PNG by file name; `diversity` is the text on the caption sets.

    Without arms the section is that text alone, and the verdict empty. Equal inputs give equal bytes.
    """
    captions = ["![share of each set's captions by cluster](diversity.png)", diversity.strip()]
    if not results.arms:
        none = "No arm was trained on VQ tokens (`token_arms` is empty), so the Synth2 route has no results here."
        return "", "\n\n".join(["## Diversity of the captions", *captions, none]), {}
    compared = differences(results, params, [arms for arms in QUESTIONS if set(arms) <= set(results.arms)])
    tested = [*claims(results, compared), *(CLAIMS[name](values) for name, values in results.experiments.items())]
    pairs = concept_matched(results.generated, results.real, max(1, params.pictures // 2), params.seed)
    drawn: dict[str, bytes] = {}
    parts = [
        "## The Synth2 route: training on VQ tokens",
        "A language model writes captions for class names, the caption filters of the SynthVLM route are applied, and a masked "
        "generator produces a grid of VQ tokens for each caption. The VLM's vision tower is the VQ tokenizer of that generator, "
        "so it is trained on the tokens, and no image is decoded. " + _protocol(results.metrics["encode_real_pairs"]),
        *_arms(results, compared, drawn),
        "### Claims of the paper",
        claims_table(tested),
        *([] if results.experiments else [UNMEASURED]),
        "### From class names to pairs",
        *_funnel(results),
        "### The masked generator",
        *_generator(results),
        *_grid(pairs, decode, params, drawn),
        "### Diversity of the captions",
        *captions,
    ]
    return _verdict(results, compared, tested, params.key_tasks), "\n\n".join(filter(None, parts)), drawn


def _verdict(results: Synth2Results, compared: pd.DataFrame, tested: Sequence[Claim], key_tasks: Sequence[str]) -> str:
    """QUESTION with its answer, the other questions with theirs, and the arms' values."""
    mixed = compared[(compared["one"] == MIXED) & (compared["other"] == REAL)]
    answer = "Not answered here."
    if len(mixed):
        answer = f"In this run a model with them is {standing(mixed, MIXED)} than without."
    answers = bullets(_answers(results, compared, tested, key_tasks))
    return "\n\n".join([f"{QUESTION} {answer}", answers, tables.values_table(results)])


def _protocol(pairs: dict[str, Any]) -> str:
    """What the real pairs are, and whether generator and VLM are trained on the same ones, as in the paper."""
    if pairs.get("generator_trained_on_these", True):
        kind = (
            "at desk scale emoji scenes with template captions"
            if "scenes" in pairs
            else "captions with their originals"
        )
        return (
            "Real pairs are those that tokenizer and generator were trained on, and no others (the paper's controlled "
            f"protocol): {kind}."
        )
    return (
        "Real pairs are captions with their original images. **The paper's controlled protocol is broken**: it trains the "
        "generator on the very real pairs of the VLM, and this generator was trained elsewhere on other ones, so what generated "
        "pairs add may be what that model has seen."
    )


def _answers(
    results: Synth2Results, compared: pd.DataFrame, tested: Sequence[Claim], key_tasks: Sequence[str]
) -> list[str]:
    used = image_use(against_blind(results, key_tasks), key_tasks) + by_kind(results, key_tasks)
    answers = [f"*Do the trained models use the image?* {used}"]
    for (one, other), question in QUESTIONS.items():
        rows = compared[(compared["one"] == one) & (compared["other"] == other)]
        if len(rows):
            answers.append(f"{question} {comparison(one, other, rows, key_tasks)}")
    return [
        *answers,
        f"*Do the paper's claims hold here?* {claims_text(tested)} More on [each](#claims-of-the-paper).",
        f"*How certain is this?* {_sizes(results)}",
    ]


def _sizes(results: Synth2Results) -> str:
    parts = []
    for arm in results.arms:
        counts = results.trainings["pretrain"][arm]
        kinds = (("real", "real"), ("synthetic", "generated"))
        pairs = [
            f"{counts[f'{key}_pairs']:,} {kind} pairs, each drawn {counts[f'{key}_draws'] / counts[f'{key}_pairs']:.1f} times"
            for key, kind in kinds
            if counts[f"{key}_pairs"]
        ]
        parts.append(f"`{arm}` on {' and '.join(pairs)}")
    curves = results.experiments.get("learning_curves")
    shown = (
        f", which the [learning curves](experiments/learning_curves.md) show of captions, for {len(curves['seeds'])} seeds; on "
        "another kind of CPU single values moved by [as much as most of these differences](../docs/two-machines.md)"
        if curves
        else ""
    )
    return (
        f"Each arm is one training run with one seed: {'; '.join(parts)}. The intervals cover the sampling of questions, not the "
        f"variance between trainings{shown}."
    )


def _arms(results: Synth2Results, compared: pd.DataFrame, drawn: dict[str, bytes]) -> list[str]:
    counts = results.trainings["pretrain"]
    rows = [[f"`{arm}`", *(f"**{number(counts[arm].get(name))}**" for name in DRAWS)] for arm in results.arms]
    parts = [
        "### Number of pairs of each arm",
        "A draw is one pair in one training step. All arms have the same number of draws: with generated pairs there "
        "are fewer of real ones, and pairs are repeated where there are fewer different pairs than draws.",
        markdown_table(["arm", *DRAWS.values()], rows, words=[0]),
        "### Arms on VQ tokens compared",
    ]
    if results.results.empty:
        return [*parts, "No benchmark was run: `benchmark.tasks.tokens` is empty."]
    drawn["token-arms.png"] = figures.arms_figure(results.results, results.fixed_answers)
    return [
        *parts,
        f"`{REAL}` is trained on real pairs alone, `{SYNTHETIC}` on generated ones alone, `{MIXED}` on both. "
        "Intervals, rows without the image and best fixed answers are as above; images of the benchmarks go through "
        "the VQ tokenizer.",
        figure_link("token-arms.png", "value and interval of every arm on every task"),
        folded("Values, with and without the image", tables.arms_table(results)),
        folded(
            f"Differences, paired by question, *p* Holm-corrected for these {len(compared)} comparisons",
            tables.differences_table(compared),
        ),
        folded("By kind of question", tables.categories_table(results)),
        tables.yes_no_table(yes_no_measures(results)),
        folded("Training metrics", tables.trainings_table(results)),
    ]


def _funnel(results: Synth2Results) -> list[str]:
    written, filtered, pairs, grids = (
        results.metrics[stage]
        for stage in ("class_captions", "filter_captions", "encode_real_pairs", "generate_tokens")
    )
    rejected: Counter[str] = sum((Counter(source["rejected"]) for source in filtered["source"].values()), Counter())
    rows = [
        [f"captions requested, for about {written['classes']:,} classes", written["asked"], ""],
        [
            "captions that `class_captions` kept",
            written["kept"],
            _losses(written["rejected"] | {"failed": written["failed"]}),
        ],
        ["captions that `filter_captions` kept", filtered["kept_total"], _losses(rejected)],
        ["grids of VQ tokens requested", grids["candidates"], ""],
        ["grids that `generate_tokens` generated", grids["made"], _losses({"failed": grids["failed"]})],
        *([["real scenes that the generator was trained on", pairs["scenes"], ""]] if "scenes" in pairs else ()),
        ["real pairs available to the arms", pairs["used"], ""],
    ]
    return [
        "Rejected captions are in `data/class_captions/captions.parquet` and `data/filtered_captions/rejected.parquet`, each "
        "with its reason; failed grids are in `data/generated_tokens/failed.parquet`.",
        markdown_table(["step", "count", "rejected"], [[a, number(b), c] for a, b, c in rows], words=[0, 2]),
    ]


def _losses(counts: dict[str, int]) -> str:
    """Reasons in words with their counts, most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{literal(REASONS.get(reason, reason))}: {count:,}" for reason, count in ordered if count]
    return ", ".join(parts) or "none"


def _generator(results: Synth2Results) -> list[str]:
    measured = results.desk_models or {}
    if "masked" not in measured:
        return [f"Not measured: {DESK_MODELS} has no entry `masked`; `python -m desk_models.publish` writes it."]
    return [
        "Top-1 and top-5 accuracy of the independent classifier of *The desk models* on images decoded from generated "
        "VQ tokens, and on real drawings. `psnr_db`: reconstruction by the tokenizer of images of its own training "
        "list; `codes_used`: share of the codebook in use.",
        tables.nested_table(
            {name: measured[name] for name in ("masked", "referee_on_real") if name in measured}, "measure"
        ),
    ]


def _grid(pairs: pd.DataFrame, decode: Decode, params: Report, drawn: dict[str, bytes]) -> list[str]:
    if pairs.empty:
        return [
            "No VQ tokens were generated: `class_captions` and `filter_captions` kept no caption, or `generate_tokens` "
            "failed for all of them."
        ]
    cells = [
        grids.Cell(image=image, caption=text, note=("generated", "real")[index % 2])
        for index, (image, text) in enumerate(zip(decode(list(pairs["key"])), pairs["text"], strict=True))
    ]
    drawn["tokens.png"] = grids.grid(cells, params.columns, params.image_size)
    return [
        "Generated pairs, each followed by a real one of the same concept where there is one, decoded from their VQ "
        f"tokens for this page only; a random {len(pairs) // 2} of each:",
        figure_link("tokens.png", "images decoded from generated and from real VQ tokens, with their captions"),
    ]
