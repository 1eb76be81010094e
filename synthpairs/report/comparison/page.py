"""The comparison as Markdown: what was changed, what came of it, and how sure that is."""

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import (
    LEVEL,
    NO_DIFFERENCE,
    POWER,
    Difference,
    holm,
    interval,
    mean,
    paired,
    probability,
    shown,
)
from synthpairs.report.comparison.revisions import Revision

RESAMPLES, SEED = 2000, 0  # of the bootstrap
ABSENT = "(absent)"
LONGEST = 100  # characters of a param's value


def compare(subjects: Sequence[tuple[Revision, str]]) -> str:
    """A page about (revision, arm)s, each against the first, on the tasks that all of them answered.

    ValueError when there are fewer than two, when they share no task, or did not answer the same items.
    """
    names = [f"{revision.name}:{arm}" for revision, arm in subjects]
    if len(subjects) < 2 or len(set(names)) < len(names):
        raise ValueError(f"at least two different ones are needed to compare, got {', '.join(names) or 'none'}")
    answers = [revision.answers(arm) for revision, arm in subjects]
    tasks = sorted(set.intersection(*(set(table["task"]) for table in answers)))
    if not tasks:
        raise ValueError(f"{', '.join(names)} share no benchmark: ask them the same (params.yaml: benchmark.tasks)")
    tested = differences(names, answers, tasks)
    commits = [f"`{name}` ({revision.commit[:7] if revision.commit else 'not committed'})"
               for name, (revision, _) in zip(names, subjects, strict=True)]  # fmt: skip
    parts = [
        f"# {names[0]} against {', '.join(names[1:])}",
        f"{', '.join(commits)}. Values are means over items with 95% intervals; items about one concept are resampled "
        "together. Each training is one run with one seed, and the intervals do not cover that.",
        "## Benchmarks",
        _values(names, answers, tasks),
        f"## Differences to {names[0]}",
        f"The same items, one by one. *p* is of a t-test clustered by concept, corrected by Holm for {len(tested)} "
        f"comparisons; a difference is shown where it is below {1 - LEVEL:.2f} and the interval does not hold 0. "
        f"*Detectable* is the smallest true difference that this many items would show {POWER:.0%} of the time before "
        "the correction.",
        _tests(tested),
        "## Params that differ",
        _changes([revision for revision, _ in subjects]),
    ]
    return "\n\n".join(parts) + "\n"


def differences(
    names: Sequence[str], answers: Sequence[pd.DataFrame], tasks: Sequence[str]
) -> list[tuple[str, str, Difference]]:
    """(task, name, its difference to the first) for every task and every other one."""
    results = []
    for task, (name, table) in itertools.product(tasks, zip(names[1:], answers[1:], strict=True)):
        ours, theirs = (part[part["task"] == task].set_index("uid") for part in (table, answers[0]))
        try:
            result = paired(ours["score"], theirs["score"], list(ours["concept"]), RESAMPLES, SEED)
        except ValueError as error:
            raise ValueError(f"{task}: {names[0]} and {name}: {error}") from None
        results.append((task, name, result))
    return results


def _values(names: Sequence[str], answers: Sequence[pd.DataFrame], tasks: Sequence[str]) -> str:
    rows = []
    for task in tasks:
        cells = []
        for table in answers:
            part = table[table["task"] == task]
            low, high = interval(list(part["score"]), list(part["concept"]), RESAMPLES, SEED)
            cells.append(f"{mean(list(part['score'])):.3f} [{low:.3f}, {high:.3f}]")
        rows.append([task, f"{len(part):,}", *cells])
    return markdown_table(["task", "n", *names], rows, words=[0])


def _tests(tested: Sequence[tuple[str, str, Difference]]) -> str:
    rows = []
    adjusted = holm([result.p for _, _, result in tested])
    for (task, name, one), p in zip(tested, adjusted, strict=True):
        better = "better" if one.value > 0 else "worse"
        verdict = better if shown(p, one.low, one.high) else NO_DIFFERENCE
        interval_text = f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        rows.append([task, name, f"{one.n:,}", interval_text, probability(p), f"{one.detectable:.3f}", verdict])
    return markdown_table(["task", "", "n", "paired difference", "p", "detectable", "verdict"], rows)


def _changes(revisions: Sequence[Revision]) -> str:
    """Every param that is not the same in all of them."""
    values = {revision.name: revision.params() for revision in revisions}
    keys = sorted({key for params in values.values() for key in params})
    cells = {key: [params.get(key, ABSENT) for params in values.values()] for key in keys}
    rows = [[f"`{key}`", *map(_cell, row)] for key, row in cells.items() if any(value != row[0] for value in row)]
    return markdown_table(["param", *values], rows) if rows else "None: the same params.yaml."


def _cell(value: Any) -> str:
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
