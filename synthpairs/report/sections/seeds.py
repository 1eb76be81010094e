"""Page about experiment `seeds`, and the lines that the report takes from it."""

import math
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.preference.measures import EVEN
from synthpairs.evaluation.statistics import LEVEL, NO_DIFFERENCE, POWER, probability
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE
from synthpairs.report.sections.experiment_tables import (
    differences_table,
    interval_text,
    seeds_text,
    value_text,
    values_table,
    verdict,
)

SIDES = {1: "prefers the synthetic pictures", -1: "prefers the real pictures", 0: "no preference shown"}


def seeds_page(results: dict[str, Any]) -> str:
    """Markdown; `results` as `seeds.measure_seeds` gives them, the figures beside the page under the names of its sections."""
    others = ", ".join(results["seeds"][:-1])  # the last is the main run
    parts = [
        "# The main run under other seeds",
        f"Every arm of pictures was trained {len(results['seeds'])} times: in the main run, and under the seeds {others}, which "
        "decide what an arm draws (`selected` draws nothing), the random projector and the order of both trainings. All else "
        "is as in the main run. Values are means over the seeds with 95% intervals over items, clustered by concept; in brackets "
        f"those of the seeds {others} and of the main run. A difference is shown where p, corrected by Holm, is below "
        f"{1 - LEVEL:.2f} and every seed says the same. "
        f"*Detectable* is the smallest true difference that so many items show {POWER:.0%} of the time before the correction. "
        "`make experiments` repeats all of it.",
        answers(results),
        "## Do the arms differ?",
        "![The benchmarks, a panel each](benchmarks.png)",
        values_table(results["benchmarks"]),
        differences_table(results["benchmarks"]),
        "## Is language kept?",
        "Perplexity per token of the text of stage `perplexity`, which no training here saw, of the language model, the model "
        "before any pair, and those that the arms made. *Factor* is to the first on the same tokens; intervals are over windows "
        "of the text. Less is better.",
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


def side(row: dict[str, Any]) -> int:
    """1 where a rate is shown to be above one half, -1 below, 0 neither: its interval and every seed must say so."""
    above, below = min(row["low"], *row["seeds"]) > EVEN, max(row["high"], *row["seeds"]) < EVEN
    return int(above) - int(below)


def _kept(results: dict[str, Any]) -> str:
    differences = results["tasks"][LOSS]["differences"]
    parts = [
        f"`{name}` has {_factor(row)} times its perplexity" if row["shown"] else f"`{name}`: {NO_DIFFERENCE}"
        for name, row in ((name, differences[name]) for name in results["sets"][1:])
    ]
    return f"Against `{results['sets'][0]}`: {'; '.join(parts)}."


def _judges(results: dict[str, Any]) -> str:
    rates, controls = (results["tasks"][task]["sets"] for task in (PREFERENCE, CONTROL))
    able = [name for name in results["sets"] if side(controls[name]) > 0]
    parts = [
        f"`{name}` {SIDES[side(rates[name])]} ({rates[name]['value']:.3f} {interval_text(rates[name], '.3f')})"
        for name in able
    ]
    if not parts:
        return "No judge can tell under every seed, so nothing follows."
    return f"Of the judges that can tell, {'; '.join(parts)}."


def _language(results: dict[str, Any]) -> str:
    numbers = results["tasks"][LOSS]
    rows = []
    for name in results["sets"]:
        cells = [f"`{name}`", value_text(numbers["sets"][name], ".2f", math.exp)]
        if row := numbers["differences"].get(name):
            word = ("worse" if row["value"] > 0 else "better") if row["shown"] else NO_DIFFERENCE
            rows.append([*cells, _factor(row), seeds_text(row, ".3f", math.exp), probability(row["p"]), word])
        else:
            rows.append([*cells, "1", "", "-", "-"])
    return markdown_table(["model", "perplexity", "factor", "by seed", "p", "verdict"], rows, words=(0, 5))


def _preference(results: dict[str, Any]) -> str:
    rates, controls = (results["tasks"][task] for task in (PREFERENCE, CONTROL))
    rows = []
    for name in results["sets"]:
        rate, control = rates["sets"][name], controls["sets"][name]
        word = SIDES[side(rate)] if side(control) > 0 else "cannot tell"
        rows.append([f"`{name}`", value_text(rate), value_text(control), word])
    head = ["judge", f"win rate, n = {rates['n']:,}", f"control, n = {controls['n']:,}", "verdict"]
    return markdown_table(head, rows, words=(0, 3))


def _factor(row: dict[str, Any]) -> str:
    return f"{math.exp(row['value']):.3f} {interval_text(row, '.3f', math.exp)}"
