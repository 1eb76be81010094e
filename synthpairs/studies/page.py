"""The page about the studies: what each asks, its answer, its numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthpairs.markdown import markdown_table
from synthpairs.statistics import LEVEL, NO_DIFFERENCE, POWER, probability
from synthpairs.studies.params import GAP, Studies

QUESTIONS = {
    "selection": (
        "Does it pay to pick pairs by score?",
        "As many pairs for all; only the pick differs: the best by the weighted sum of CLIP cosine and SSIM (`top`), "
        "any (`random`), the worst (`rear`), the best by one score alone (`clip-only`, `ssim-only`). SynthVLM reports that it "
        "helps; its table could not be had, so no figure of the paper's stands beside these. `balanced` is the best by the same "
        "sum, {per_concept} of a concept at most: MetaCLIP's remedy for a selection that narrows.",
    ),
    "ablation": (
        "What does each step of the pipeline bring?",
        "The whole pipeline (`top`); without selection (`random`), or with one that passes over no concept (`balanced`); without "
        "selection and curation (`uncurated`: pictures painted for captions drawn from all that were read, those spoilt on "
        "purpose among them); without generation (`real`: original pictures with their reference captions, at desk scale "
        "templates over emoji names). SynthVLM: without generation or without selection is worse.",
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


def studies_page(results: Mapping[str, dict[str, Any]], studies: Studies, guidance: float) -> str:
    """Markdown; `results` by study as `results.study_results` gives them, their plots beside the page as STUDY.png.

    `guidance` is that of the pictures which all sets but those of the study `guidance` share.
    """
    seeds = ", ".join(str(seed) for seed in studies.seeds)
    few = ", ".join(str(seed) for seed in studies.seeds[: studies.tuned_seeds])
    tuned = (
        f" No language model has a say in it. In the studies {_listed(studies.tuned)} {studies.steps} steps of fine-tuning "
        "follow, on instruction data that all sets share, and then the benchmarks; that takes ten times as long and is done for "
        f"the seeds {few} alone."
        if studies.tasks and studies.tuned
        else " No language model has a say in it: what follows from it for a model's answers is not measured here."
    )
    parts = [
        "# Ways to come by a training set",
        f"Every set is trained and asked {len(studies.seeds)} times (seeds {seeds}); a seed decides whatever is drawn at random. "
        "The projector is fitted in closed form on the set's own pairs. `naming` is whether what it then says of a held-out "
        f"drawing is nearest to the drawing's name among the names of all concepts.{tuned}",
        "Two things are uncertain, and a difference is called shown only where both speak for it: the paired test over items "
        f"(means over seeds, clustered by concept, p < {1 - LEVEL:.2f} after Holm's correction in the study), and the seeds, all "
        f"on one side. *Detectable* is the smallest true difference that so many items show {POWER:.0%} of the time before the "
        "correction. `make studies` repeats all of it.",
        *(_study(name, told, studies, guidance) for name, told in results.items()),
    ]
    return "\n\n".join(parts) + "\n"


def answers(results: dict[str, dict[str, Any]]) -> str:
    """Each study's question and its answer, a line each."""
    return "\n".join(f"- *{QUESTIONS[name][0]}* {verdict(results[name])}" for name in QUESTIONS if name in results)


def _listed(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _study(name: str, told: dict[str, Any], studies: Studies, guidance: float) -> str:
    question, setting = QUESTIONS[name]
    return "\n\n".join(
        [
            f"## {question}",
            f"**{verdict(told)}**",
            setting.format(per_concept=studies.per_concept, guidance=guidance),
            f"![{question} A panel for each measure]({name}.png)",
            values_table(told),
            *_agreement(told),
            differences_table(told),
        ]
    )


def verdict(told: dict[str, Any]) -> str:
    """The answer in a sentence: which sets differ from the first, on what, and that the others do not."""
    first, others = told["sets"][0], told["sets"][1:]
    sentences = []
    for name in others:
        found = {task: numbers["differences"][name] for task, numbers in told["tasks"].items()}
        apart = [
            f"{_word(task, row)} on {task} ({row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}])"
            for task, row in found.items() if row["shown"]
        ]  # fmt: skip
        sentences.append(f"`{name}` is {', '.join(apart)}" if apart else f"`{name}`: {NO_DIFFERENCE}")
    return f"Against `{first}`: {'; '.join(sentences)}."


def _word(task: str, row: dict[str, Any]) -> str:
    return "better" if (row["value"] > 0) != (task == GAP) else "worse"


def values_table(told: dict[str, Any]) -> str:
    """Every set's value on every task; and what the pairs of the sets hold, where that is told."""
    rows = [
        [task, numbers["measure"], f"{numbers['n']:,}", *(value(numbers["sets"][name]) for name in told["sets"])]
        for task, numbers in told["tasks"].items()
    ]
    for fact, shape in (("concepts", "d"), ("clip_cosine", ".3f")) if "pairs" in told else ():
        held = [[row[fact] for row in told["pairs"][name]] for name in told["sets"]]
        spans = [sorted({f"{min(values):{shape}}", f"{max(values):{shape}}"}) for values in held]
        rows.append(["the pairs", fact.replace("_", " "), "", *(" to ".join(span) for span in spans)])
    return markdown_table(["task", "measure", "n", *told["sets"]], rows, words=range(2))


def _agreement(told: dict[str, Any]) -> list[str]:
    """How the sets' order by CLIP cosine agrees with that by what was learnt from them; nothing where it cannot be said."""
    known = {task: value for task, value in told["agreement"].items() if value is not None}
    if not known:
        return []
    values = ", ".join(f"{value:+.2f} with `{task}`" for task, value in known.items())
    return [
        f"Does a set's CLIP cosine foretell what is learnt from it? Spearman's correlation over these {len(told['sets'])} sets: "
        f"{values}."
    ]


def value(row: dict[str, Any], shape: str = ".3f", made: Callable[[float], float] = float) -> str:
    """A set's mean with its interval and the seeds' values, made into what is to be shown."""
    return f"**{made(row['value']):{shape}}** {edges(row, shape, made)} ({by_seed(row, shape, made)})"


def edges(row: dict[str, Any], shape: str, made: Callable[[float], float] = float) -> str:
    """An interval, likewise."""
    return f"[{made(row['low']):{shape}}, {made(row['high']):{shape}}]"


def by_seed(row: dict[str, Any], shape: str, made: Callable[[float], float] = float) -> str:
    """The seeds' values, made into what is to be shown; one for all where a seed decides nothing."""
    values = [f"{made(value):{shape}}" for value in row["seeds"]]
    return f"all {values[0]}" if len(set(values)) == 1 else ", ".join(values)


def differences_table(told: dict[str, Any]) -> str:
    """Every set's difference to the first of them, with what each seed says."""
    rows = []
    for task, numbers in told["tasks"].items():
        for name, row in numbers["differences"].items():
            said = _word(task, row) if row["shown"] else NO_DIFFERENCE
            rows.append(
                [
                    task,
                    f"{name} - {told['sets'][0]}",
                    f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
                    by_seed(row, "+.3f"),
                    probability(row["p"]),
                    f"{row['detectable']:.3f}",
                    said,
                ]
            )
    head = ["task", "sets", "difference", "by seed", "p", "detectable", "verdict"]
    return markdown_table(head, rows, words=(0, 1, 6))
