"""Page of experiment `seeds`."""

import math
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.preference.measures import EVEN
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE
from synthpairs.report.experiments.tables import (
    RULE,
    differences_table,
    interval_text,
    seeds_text,
    value_text,
    values_table,
    verdict,
)
from synthpairs.report.tables import bullets

SIDES = {1: "prefers the synthetic images", -1: "prefers the real images", 0: "no preference shown"}


def seeds_page(results: dict[str, Any]) -> str:
    """The page as Markdown, with the figures of its sections next to it; `results` as from `seeds.measure_seeds`."""
    others = ", ".join(results["seeds"][:-1])  # the last is the main run
    parts = [
        "# The main run under other seeds",
        f"Every arm of the SynthVLM route was trained {len(results['seeds'])} times: in the main run, and under the "
        f"seeds {others}, which decide the random pairs of an arm (`selected` has none), the random projector and the "
        "order of both trainings; everything else is as in the main run. Values are means over the seeds with 95% "
        f"intervals over items, clustered by concept; in parentheses those of the seeds {others} and of the main run. "
        f"{RULE} `make experiments` runs this experiment.",
        answers(results),
        "## Do the arms differ?",
        "![The benchmarks, one panel each](benchmarks.png)",
        values_table(results["benchmarks"]),
        differences_table(results["benchmarks"]),
        "## Is language kept?",
        "Perplexity per token on the held-out text of stage `perplexity`, of the language model, of the untrained "
        "VLM, and of the trained arms. *Factor* is relative to the first on the same tokens; intervals are over "
        "windows of the text. Lower is better.",
        _language(results["language"]),
        "## Generated against original images",
        "The trained arms as judges of the image pairs of stage `preference`: a generated and an original image of "
        "one caption. *Win rate* is that of the generated image, with a tie as half a win. The *control* has two real "
        "images, one of which fits the caption. A judge passes the control, or has a preference, if the interval and "
        "every seed are on one side of 50%, without a test or a correction.",
        "![Win rate and control by judge](preference.png)",
        _preference(results["preference"]),
    ]
    return "\n\n".join(parts) + "\n"


def answers(results: dict[str, Any]) -> str:
    """What holds over all seeds, one question a line."""
    return bullets(
        [
            f"*Do the arms differ?* {verdict(results['benchmarks'])}",
            f"*Is language kept?* {_language_verdict(results['language'])}",
            f"*Which image shows a caption better?* {_preference_verdict(results['preference'])}",
        ]
    )


def side(row: dict[str, Any]) -> int:
    """1 where the interval and every seed of a rate are above 50%, -1 below, else 0."""
    above, below = min(row["low"], *row["seeds"]) > EVEN, max(row["high"], *row["seeds"]) < EVEN
    return int(above) - int(below)


def _language_verdict(results: dict[str, Any]) -> str:
    differences = results["tasks"][LOSS]["differences"]
    parts = [
        f"`{name}` has {_factor(differences[name])} times the perplexity"
        if differences[name]["shown"]
        else f"`{name}`: {NO_DIFFERENCE}"
        for name in results["sets"][1:]
    ]
    return f"Against `{results['sets'][0]}`: {'; '.join(parts)}."


def _preference_verdict(results: dict[str, Any]) -> str:
    rates, controls = (results["tasks"][task]["sets"] for task in (PREFERENCE, CONTROL))
    parts = [
        f"`{name}` {SIDES[side(rates[name])]} ({rates[name]['value']:.3f} {interval_text(rates[name], '.3f')})"
        for name in results["sets"]
        if side(controls[name]) > 0
    ]
    if not parts:
        return "No judge passes the control under every seed, so there is no result."
    return f"Of the judges that pass the control, {'; '.join(parts)}."


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
        word = SIDES[side(rate)] if side(control) > 0 else "fails the control"
        rows.append([f"`{name}`", value_text(rate), value_text(control), word])
    head = ["judge", f"win rate, n = {rates['n']:,}", f"control, n = {controls['n']:,}", "verdict"]
    return markdown_table(head, rows, words=(0, 3))


def _factor(row: dict[str, Any]) -> str:
    return f"{math.exp(row['value']):.3f} {interval_text(row, '.3f', math.exp)}"
