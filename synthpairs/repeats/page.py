"""The page about the repeats, and the lines that the report takes from it."""

import math
from typing import Any

from synthpairs.markdown import markdown_table
from synthpairs.repeats.params import CONTROL, LOSS, PREFERENCE, RUN
from synthpairs.repeats.results import side
from synthpairs.statistics import LEVEL, NO_DIFFERENCE, POWER, probability
from synthpairs.studies.page import by_seed, differences_table, edges, value, values_table, verdict

SIDES = {1: "prefers the synthetic pictures", -1: "prefers the real pictures", 0: "no preference shown"}


def repeats_page(results: dict[str, Any]) -> str:
    """Markdown; `results` as `results.repeat_results` gives them, the plots beside the page under the names of its sections."""
    others = ", ".join(seed for seed in results["seeds"] if seed != RUN)
    trained = "the language model, the model before any pair, and those that the arms made"
    parts = [
        "# The main run under other seeds",
        f"Every arm of pictures was trained {len(results['seeds'])} times: in the main run, and under the seeds {others}, which "
        "decide what an arm draws (`selected` draws nothing), the random projector and the order of both trainings. All else "
        "is as in the main run. Values are means over the seeds with 95% intervals over items, clustered by concept; in brackets "
        f"those of the seeds {others} and of the main run. A difference is shown where p, corrected by Holm, is below "
        f"{1 - LEVEL:.2f} and every seed says the same. "
        f"*Detectable* is the smallest true difference that so many items show {POWER:.0%} of the time before the correction. "
        "`make repeats` repeats all of it.",
        answers(results),
        "## Do the arms differ?",
        "![The benchmarks, a panel each](benchmarks.png)",
        values_table(results["benchmarks"]),
        differences_table(results["benchmarks"]),
        "## Is language kept?",
        f"Perplexity per token of the text of stage `perplexity`, which no training here saw, of {trained}. *Factor* is to the "
        "first on the same tokens; intervals are over windows of the text. Less is better.",
        _language(results["language"]),
        "## Picture against picture",
        "Each arm's models as judges of stage `preference`'s couples: a generated and a real picture of one caption. *Win rate* "
        "is of the synthetic one, ties as half a win. The *control* asks about two real pictures, of which one fits the "
        "caption. A judge can tell, or prefers, where interval and every seed are on one side of one half.",
        "![Win rate and control by judge](preference.png)",
        _preference(results["preference"]),
    ]
    return "\n\n".join(parts) + "\n"


def answers(results: dict[str, Any]) -> str:
    """What holds over all seeds, a line a question."""
    return "\n".join(
        [
            f"- *Do the arms differ?* {verdict(results['benchmarks'])}",
            f"- *Is language kept?* {_kept(results['language'])}",
            f"- *Which picture shows a caption better?* {_judges(results['preference'])}",
        ]
    )


def _kept(told: dict[str, Any]) -> str:
    first, *others = told["sets"]
    rows = told["tasks"][LOSS]["differences"]
    said = [
        f"`{name}` has {_factor(rows[name])} times its perplexity"
        if rows[name]["shown"]
        else f"`{name}`: {NO_DIFFERENCE}"
        for name in others
    ]
    return f"Against `{first}`: {'; '.join(said)}."


def _judges(told: dict[str, Any]) -> str:
    rates, controls = (told["tasks"][task]["sets"] for task in (PREFERENCE, CONTROL))
    able = {name: side(rates[name]) for name in told["sets"] if side(controls[name]) > 0}
    if not able:
        return "No judge can tell under every seed, so nothing follows."
    said = "; ".join(
        f"`{name}` {SIDES[found]} ({rates[name]['value']:.3f} {edges(rates[name], '.3f')})"
        for name, found in able.items()
    )
    return f"Of the judges that can tell, {said}."


def _language(told: dict[str, Any]) -> str:
    numbers = told["tasks"][LOSS]
    rows = []
    for name in told["sets"]:
        cells = [f"`{name}`", value(numbers["sets"][name], ".2f", math.exp)]
        row = numbers["differences"].get(name)
        if row is None:
            rows.append([*cells, "1", "", "-", "-"])
        else:
            said = ("worse" if row["value"] > 0 else "better") if row["shown"] else NO_DIFFERENCE
            rows.append([*cells, _factor(row), by_seed(row, ".3f", math.exp), probability(row["p"]), said])
    return markdown_table(["model", "perplexity", "factor", "by seed", "p", "verdict"], rows, words=(0, 5))


def _preference(told: dict[str, Any]) -> str:
    rates, controls = (told["tasks"][task] for task in (PREFERENCE, CONTROL))
    rows = []
    for name in told["sets"]:
        rate, control = rates["sets"][name], controls["sets"][name]
        found = SIDES[side(rate)] if side(control) > 0 else "cannot tell"
        rows.append([f"`{name}`", value(rate), value(control), found])
    head = ["judge", f"win rate, n = {rates['n']:,}", f"control, n = {controls['n']:,}", "verdict"]
    return markdown_table(head, rows, words=(0, 3))


def _factor(row: dict[str, Any]) -> str:
    return f"{math.exp(row['value']):.3f} {edges(row, '.3f', math.exp)}"
