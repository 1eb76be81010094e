"""Report section on perplexity: whether the language model is kept by the trainings."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.emoji.tasks.definitions import TEXT
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability

HEADING = "## Is language kept?"
HEAD = ["model", "perplexity", "against the first", "p", "verdict", "desk_text"]


def section(results: dict[str, Any], benchmarks: pd.DataFrame) -> str:
    """Perplexities, with the text-only task of `benchmarks` (arm, task, value) in the last column."""
    text_task = benchmarks[benchmarks["task"] == TEXT].set_index("arm")["value"].to_dict()
    left_out = ", ".join(f"`{name}`" for name in results["left_out"])
    if not results["order"]:
        return f"{HEADING}\n\nNot asked: {left_out} belong to arms that are not trained."
    first = results["order"][0]
    rows = [_row(name, results["models"][name], text_task) for name in results["order"]]
    return "\n\n".join(
        [
            HEADING,
            f"Perplexity per token on {results['tokens']:,} tokens of a held-out text ({results['text']}) in "
            f"{results['windows']:,} windows; 95% intervals over windows. *Against the first* is the factor to "
            f"`{first}` on the same tokens; p is Holm-corrected. Projector pretraining leaves the language model "
            "unchanged: after it, it equals that of `untrained`. What `untrained` loses is due to `vlm.adapter`, "
            "before any image. desk_text has no images.",
            markdown_table(HEAD, rows, words=[0, 4]),
            *([f"Not asked, as their arms are not trained: {left_out}."] if left_out else []),
        ]
    )


def _row(name: str, numbers: Mapping[str, Any], text_task: Mapping[str, float]) -> list[str]:
    value = f"{numbers['value']:.2f} [{numbers['low']:.2f}, {numbers['high']:.2f}]"
    score = text_task.get(name.removeprefix("models/vlm/").removesuffix("/finetuned"))
    text_score = "-" if score is None else f"{score:.3f}"
    against = numbers.get("against_first")
    if against is None:
        return [f"`{name}`", value, "1", "-", "-", text_score]
    verdict = ("worse" if against["value"] > 1 else "better") if against["shown"] else NO_DIFFERENCE
    factor = f"x {against['value']:.3f} [{against['low']:.3f}, {against['high']:.3f}]"
    return [f"`{name}`", value, factor, probability(against["p"]), verdict, text_score]
