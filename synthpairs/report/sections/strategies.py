"""Page about experiment `strategies`: what each study asks, its answer, its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthpairs.evaluation.statistics import LEVEL, POWER
from synthpairs.experiments.params import Question, Strategies
from synthpairs.report.sections.experiment_tables import differences_table, values_table, verdict

QUESTIONS: Mapping[Question, tuple[str, str]] = {
    "selection": (
        "Does it pay to pick pairs by score?",
        "As many pairs for all; only the pick differs: the best by the weighted sum of CLIP cosine and SSIM (`top`), any "
        "(`random`), the worst (`rear`), the best by one score alone (`clip-only`, `ssim-only`). SynthVLM reports that it "
        "helps; its table could not be had, so no figure of the paper's stands beside these. `balanced` is the best by the "
        "same sum, {per_concept} of a concept at most: MetaCLIP's remedy for a selection that narrows.",
    ),
    "ablation": (
        "What does each step of the pipeline bring?",
        "The whole pipeline (`top`); without selection (`random`), or with one that passes over no concept (`balanced`); "
        "without selection and curation (`uncurated`: pictures painted for captions drawn from all that were read, those "
        "spoilt on purpose among them); without generation (`real`: original pictures with their reference captions, at desk "
        "scale templates over emoji names). SynthVLM: without generation or without selection is worse.",
    ),
    "size": (
        "How many synthetic pairs are worth how many real ones?",
        "The best pairs by score, and original pictures with their reference captions. SynthVLM: 100,000 selected synthetic "
        "pairs beat 558,000 of the web, 18% as many.",
    ),
    "guidance": (
        "Does guidance that pleases CLIP make better training data?",
        "Pictures for the same captions: those of `random` were painted under guidance {guidance:g}, the others are painted "
        "anew. Guidance draws pictures closer to their captions and makes them more alike (arXiv 2207.12598); the authors' "
        "configurations say 20 for SDXL and 10 for SD3, the paper says nothing.",
    ),
    "style": (
        "Does what was taught carry over to a style that was never seen?",
        "`naming_unseen` asks for the same things in the style of an emoji set that no training here has met (openmoji), one "
        "picture for each of `naming`'s; `style_gap` is what is lost, item by item: less is better. Were synthetic pictures "
        "poorer in styles than real ones, they would lose more.",
    ),
}


def answers(studies: Mapping[str, dict[str, Any]]) -> str:
    """Each study's question and its answer, a line each."""
    return "\n".join(f"- *{QUESTIONS[name][0]}* {verdict(studies[name])}" for name in QUESTIONS if name in studies)


def strategies_page(studies: Mapping[Question, dict[str, Any]], params: Strategies, guidance: float) -> str:
    """Markdown; `studies` as `strategies.measure_strategies` has them, their figures beside the page as STUDY.png.

    `guidance` is that of the pictures which all sets but those of the study `guidance` share.
    """
    tuned = "No language model has a say in it"
    if params.tasks and params.tuned:
        tuned += (
            f". In the studies {_listed(params.tuned)} {params.steps} steps of fine-tuning follow, on instruction data that "
            "all sets share, and then the benchmarks; that takes ten times as long and is done for the seeds "
            f"{', '.join(map(str, params.seeds[: params.tuned_seeds]))} alone."
        )
    else:
        tuned += ": what follows from it for a model's answers is not measured here."
    parts = [
        "# Ways to come by a training set",
        f"Every set is trained and asked {len(params.seeds)} times (seeds {', '.join(map(str, params.seeds))}); a seed decides "
        "whatever is drawn at random. The projector is fitted in closed form on the set's own pairs. `naming` is whether what "
        "it then says of a held-out drawing is nearest to the drawing's name among the names of all concepts. " + tuned,
        "Two things are uncertain, and a difference is called shown only where both speak for it: the paired test over items "
        f"(means over seeds, clustered by concept, p < {1 - LEVEL:.2f} after Holm's correction in the study), and the seeds, all "
        f"on one side. *Detectable* is the smallest true difference that so many items show {POWER:.0%} of the time before the "
        "correction. `make experiments` repeats all of it.",
    ]
    for name, results in studies.items():
        question, explanation = QUESTIONS[name]
        parts += [
            f"## {question}",
            f"**{verdict(results)}**",
            explanation.format(per_concept=params.per_concept, guidance=guidance),
            f"![{question} A panel for each measure]({name}.png)",
            values_table(results),
            *_agreement(results),
            differences_table(results),
        ]
    return "\n\n".join(parts) + "\n"


def _listed(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _agreement(results: dict[str, Any]) -> list[str]:
    """How the sets' order by CLIP cosine agrees with that by what was learnt from them; nothing where none is known."""
    known = [f"{value:+.2f} with `{task}`" for task, value in results["agreement"].items() if value is not None]
    question = "Does a set's CLIP cosine foretell what is learnt from it? Spearman's correlation over these"
    return [f"{question} {len(results['sets'])} sets: {', '.join(known)}."] if known else []
