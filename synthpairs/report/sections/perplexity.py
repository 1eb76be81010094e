"""Report section on perplexity: whether the language model keeps its language."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.emoji.tasks.definitions import TEXT
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability


def section(results: dict[str, Any], benchmarks: pd.DataFrame) -> str:
    """The section; `benchmarks` (arm, task, value) has the text-only task beside the perplexities."""
    text_task = benchmarks[benchmarks["task"] == TEXT].set_index("arm")["value"].to_dict()
    left_out = ", ".join(f"`{name}`" for name in results["left_out"])
    if not results["order"]:
        return f"## Is language kept?\n\nNot asked: {left_out} belong to arms that are not trained."
    first = results["order"][0]
    rows = [_row(name, results["models"][name], text_task) for name in results["order"]]
    return "\n\n".join(
        [
            "## Is language kept?",
            f"Perplexity per token of {results['tokens']:,} tokens of a text that no training here saw ({results['text']}), in "
            f"{results['windows']:,} windows; 95% intervals over windows. *Against the first* is the factor to `{first}` on the "
            "same tokens; p is corrected by Holm. Alignment trains only what stands between eye and language model: after it the "
            "language model is that of `untrained`, bit for bit. What `untrained` has lost it lost to `vlm.adapter`, before any "
            "picture. desk_text asks without pictures, too.",
            markdown_table(
                ["model", "perplexity", "against the first", "p", "verdict", "desk_text"], rows, words=[0, 4]
            ),
            *([f"Not asked, as their arms are not trained: {left_out}."] if left_out else []),
        ]
    )


def _row(name: str, one: Mapping[str, Any], text_task: Mapping[str, float]) -> list[str]:
    value = f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"
    score = text_task.get(name.removeprefix("models/vlm/").removesuffix("/finetuned"))
    answered = "-" if score is None else f"{score:.3f}"
    against = one.get("against_first")
    if against is None:
        return [f"`{name}`", value, "1", "-", "-", answered]
    verdict = ("worse" if against["value"] > 1 else "better") if against["shown"] else NO_DIFFERENCE
    factor = f"x {against['value']:.3f} [{against['low']:.3f}, {against['high']:.3f}]"
    return [f"`{name}`", value, factor, probability(against["p"]), verdict, answered]
