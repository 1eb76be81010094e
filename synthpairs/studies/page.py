"""The page about the studies: what each asks, its answer, its numbers."""

from typing import Any

from synthpairs.markdown import markdown_table
from synthpairs.significance import NO_DIFFERENCE, POWER, probability
from synthpairs.statistics import LEVEL
from synthpairs.studies.params import Studies

QUESTIONS = {
    "selection": (
        "Does it pay to pick pairs by score?",
        "As many pairs for all; only the pick differs: the best by the weighted sum of CLIP cosine and SSIM (`top`), "
        "any (`random`), the worst (`rear`), the best by one score alone (`clip-only`, `ssim-only`). SynthVLM reports that it "
        "helps; its table could not be had, so no figure of the paper's stands beside these.",
    ),
    "ablation": (
        "What does each step of the pipeline bring?",
        "The whole pipeline (`top`); without selection (`random`); without selection and curation (`uncurated`: pictures painted "
        "for captions drawn from all that were read, those spoilt on purpose among them); without generation (`real`: drawings "
        "with the captions that people gave them). SynthVLM: without generation or without selection is worse.",
    ),
    "size": (
        "How many synthetic pairs are worth how many real ones?",
        "The best pairs by score, and drawings with people's captions. SynthVLM: 100,000 selected synthetic pairs beat 558,000 "
        "of the web, 18% as many.",
    ),
}


def studies_page(results: dict[str, dict[str, Any]], studies: Studies) -> str:
    """Markdown; `results` by study as `results.study_results` gives them, their plots beside the page as STUDY.png."""
    seeds = ", ".join(str(seed) for seed in studies.seeds)
    tuned = (
        f" Then come {studies.steps} steps of fine-tuning on instruction data that all share, and the benchmarks."
        if studies.tasks
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
        *(_study(name, told) for name, told in results.items()),
    ]
    return "\n\n".join(parts) + "\n"


def answers(results: dict[str, dict[str, Any]]) -> str:
    """Each study's question and its answer, a line each."""
    return "\n".join(f"- *{QUESTIONS[name][0]}* {verdict(results[name])}" for name in QUESTIONS if name in results)


def _study(name: str, told: dict[str, Any]) -> str:
    question, setting = QUESTIONS[name]
    return "\n\n".join(
        [
            f"## {question}",
            f"**{verdict(told)}**",
            setting,
            f"![{question} A panel for each measure]({name}.png)",
            _values(told),
            _tests(told),
        ]
    )


def verdict(told: dict[str, Any]) -> str:
    """The answer in a sentence: which sets differ from the first, on what, and that the others do not."""
    first, others = told["sets"][0], told["sets"][1:]
    sentences = []
    for name in others:
        found = {task: numbers["differences"][name] for task, numbers in told["tasks"].items()}
        apart = [
            f"{'better' if row['value'] > 0 else 'worse'} on {task} ({row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}])"
            for task, row in found.items() if row["shown"]
        ]  # fmt: skip
        sentences.append(f"`{name}` is {', '.join(apart)}" if apart else f"`{name}`: {NO_DIFFERENCE}")
    return f"Against `{first}`: {'; '.join(sentences)}."


def _values(told: dict[str, Any]) -> str:
    rows = [
        [task, numbers["measure"], f"{numbers['n']:,}", *(_value(numbers["sets"][name]) for name in told["sets"])]
        for task, numbers in told["tasks"].items()
    ]
    covered = [sorted({min(told["concepts"][name]), max(told["concepts"][name])}) for name in told["sets"]]
    rows.append(["the pairs", "concepts", "", *(" to ".join(map(str, span)) for span in covered)])
    return markdown_table(["task", "measure", "n", *told["sets"]], rows, words=range(2))


def _value(row: dict[str, Any]) -> str:
    return f"**{row['value']:.3f}** [{row['low']:.3f}, {row['high']:.3f}] ({_seeds(row, '.3f')})"


def _seeds(row: dict[str, Any], shape: str) -> str:
    """The seeds' values; one for all where a seed decides nothing."""
    values = [f"{value:{shape}}" for value in row["seeds"]]
    return f"all {values[0]}" if len(set(values)) == 1 else ", ".join(values)


def _tests(told: dict[str, Any]) -> str:
    rows = []
    for task, numbers in told["tasks"].items():
        for name, row in numbers["differences"].items():
            said = ("better" if row["value"] > 0 else "worse") if row["shown"] else NO_DIFFERENCE
            rows.append(
                [
                    task,
                    f"{name} - {told['sets'][0]}",
                    f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
                    _seeds(row, "+.3f"),
                    probability(row["p"]),
                    f"{row['detectable']:.3f}",
                    said,
                ]
            )
    head = ["task", "sets", "difference", "by seed", "p", "detectable", "verdict"]
    return markdown_table(head, rows, words=(0, 1, 6))
