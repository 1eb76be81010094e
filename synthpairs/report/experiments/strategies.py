"""Page of experiment `strategies`: question, answer and numbers of each study."""

from collections.abc import Mapping
from typing import Any

from synthpairs.experiments.params import Strategies, Study
from synthpairs.report.experiments.tables import RULE, differences_table, values_table, verdict
from synthpairs.report.tables import listed

QUESTIONS: Mapping[Study, tuple[str, str]] = {
    "selection": (
        "Does selecting pairs by score help?",
        "The same number of pairs, selected in different ways: the best by the weighted sum of CLIP cosine and SSIM "
        "(`top`), random ones (`random`), the worst (`bottom`), the best by one score alone (`clip-only`, `ssim-only`). "
        "SynthVLM reports that selection helps; its table was not available. `balanced` is the best by the same sum "
        "with at most {per_concept} pairs of a concept, as MetaCLIP balances its data.",
    ),
    "ablation": (
        "What does each step of the pipeline contribute?",
        "The whole pipeline (`top`); without selection (`random`), or with a cap per concept (`balanced`); without "
        "selection and caption filtering (`uncurated`: images generated for captions drawn from all that were read, "
        "deliberately corrupted ones included); without generation (`real`: original images with their reference "
        "captions, at desk scale made of templates over emoji names). SynthVLM: worse without generation or without "
        "selection.",
    ),
    "size": (
        "How many synthetic pairs replace how many real ones?",
        "The best pairs by score, and original images with their reference captions. SynthVLM: 100,000 selected "
        "synthetic pairs beat 558,000 web pairs, with 18% as many.",
    ),
    "guidance": (
        "Does stronger guidance make better training data?",
        "Images for the same captions: those of `random` were generated with guidance {guidance:g}, the others are "
        "generated anew. Guidance increases agreement with the caption and decreases diversity (arXiv 2207.12598); "
        "the authors' configurations have 20 for SDXL and 10 for SD3, the paper states no value.",
    ),
    "style": (
        "Does training transfer to an unseen drawing style?",
        "`naming_unseen` has the same concepts in the style of an emoji set that is in no training data (openmoji), "
        "one image for each of `naming`; `style_gap` is the loss from `naming` to it, item by item: lower is better. "
        "If synthetic images had less variety of styles than real ones, their loss would be larger.",
    ),
}


def strategies_page(studies: Mapping[Study, dict[str, Any]], params: Strategies, guidance: float) -> str:
    """The page as Markdown, with figures STUDY.png next to it; `studies` as from `strategies.measure_strategies`.

    `guidance` is that of the images of all sets but those of the study `guidance`.
    """
    finetuning = "No language model is involved"
    if params.tasks and params.tuned:
        finetuning += (
            f". In the studies {listed(f'`{name}`' for name in params.tuned)}, {params.steps} steps of fine-tuning on "
            "the same instruction data follow, and then the benchmarks; this takes ten times as long and is done for "
            f"the seeds {', '.join(map(str, params.seeds[: params.tuned_seeds]))} only."
        )
    else:
        finetuning += ": the effect on a model's answers is not measured here."
    parts = [
        "# Strategies for building a training set",
        f"Every set is trained and evaluated {len(params.seeds)} times (seeds {', '.join(map(str, params.seeds))}); a "
        "seed decides everything that is random. All sets are of one run's captions, and one without a random choice has "
        "the same `naming` under all seeds. The projector is fitted in closed form on the pairs of the set. "
        "`naming` is the zero-shot accuracy of its output on held-out drawings: whether it is nearest to the "
        f"drawing's name among the names of all concepts. {finetuning}",
        f"{RULE} Holm's correction is for the tests of a study. `make experiments` runs this experiment.",
    ]
    for name, results in studies.items():
        question, explanation = QUESTIONS[name]
        parts += [
            f"## {question}",
            f"**{verdict(results)}**",
            explanation.format(per_concept=params.per_concept, guidance=guidance),
            f"![{question} One panel per measure]({name}.png)",
            values_table(results),
            *_agreement(results),
            differences_table(results),
        ]
    return "\n\n".join(parts) + "\n"


def _agreement(results: dict[str, Any]) -> list[str]:
    """Rank correlation of the sets' CLIP cosines with their results; empty where none is known."""
    known = [f"{value:+.2f} with `{task}`" for task, value in results["agreement"].items() if value is not None]
    text = "Does the CLIP cosine of a set predict its result? Spearman's correlation over these"
    return [f"{text} {len(results['sets'])} sets: {', '.join(known)}."] if known else []
