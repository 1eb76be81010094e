"""Comparison of revisions as a Markdown page: benchmarks, paired differences, and params that differ."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from synthpairs.core.markdown import literal, markdown_table
from synthpairs.evaluation.statistics import LEVEL, POWER, interval, mean
from synthpairs.report import tables
from synthpairs.report.analysis import paired_differences
from synthpairs.report.comparison.revisions import Revision
from synthpairs.report.sections.summary import standing

RESAMPLES, SEED = 2000, 0  # of the bootstrap
ABSENT = "(absent)"
MAX_LENGTH = 100  # characters of a param's value


def compare(subjects: Sequence[tuple[Revision, str]]) -> str:
    """Page that compares (revision, arm) pairs with the first, on the tasks that all of them answered by one measure.

    ValueError if there are fewer than two, if they share no such task, or did not answer the same items.
    """
    names = [f"{revision.name}:{arm}" for revision, arm in subjects]
    if len(subjects) < 2 or len(set(names)) < len(names):
        raise ValueError(f"two different revisions or arms are needed to compare, got {', '.join(names) or 'none'}")
    answers = {name: revision.answers(arm) for name, (revision, arm) in zip(names, subjects, strict=True)}
    measured = [set(revision.measures(arm).items()) for revision, arm in subjects]
    answered = set.intersection(*(set(table["task"]) for table in answers.values()))
    measures = {task: measure for task, measure in sorted(set.intersection(*measured)) if task in answered}
    if not measures:
        raise ValueError(f"{', '.join(names)} share no benchmark with one measure (params.yaml: benchmark.tasks)")
    left_out = sorted({task for table in answers.values() for task in table["task"]}.difference(measures))
    lower_is_better = {task for task, (_, higher_is_better) in measures.items() if not higher_is_better}
    comparisons = [(name, names[0]) for name in names[1:]]
    compared = paired_differences(answers, list(measures), comparisons, RESAMPLES, SEED, lower_is_better)
    commits = [f"`{name}` ({revision.commit[:7] if revision.commit else 'not committed'})"
               for name, (revision, _) in zip(names, subjects, strict=True)]  # fmt: skip
    parts = [
        f"# {', '.join(names[1:])} against {names[0]}",
        " ".join(
            f"**`{one}` is {standing(compared[compared['one'] == one], one)} than `{names[0]}`.**" for one in names[1:]
        ),
        f"{', '.join(commits)}. Values are means over items with 95% intervals, resampled over concepts. Each training is "
        "one run with one seed; the intervals do not cover the variance between trainings, which `make experiments` measures.",
        "## Benchmarks",
        _values(answers, measures),
        *([f"Not compared, as not all answered them by one measure: {', '.join(left_out)}."] if left_out else []),
        f"## Differences to {names[0]}",
        f"Each is a value minus that of {names[0]}, paired by item. *p* is from a t-test clustered by concept, Holm-corrected "
        f"for {len(compared)} comparisons; a difference is shown where it is below {1 - LEVEL:.2f} and the interval excludes 0. "
        f"*Detectable* is the smallest true difference that this many items show with a power of {POWER:.0%} after the "
        "correction, if it is the only one.",
        tables.differences_table(compared),
        "## Params that differ",
        _changes([revision for revision, _ in subjects]),
    ]
    return "\n\n".join(parts) + "\n"


def _values(answers: dict[str, pd.DataFrame], measures: dict[str, tuple[str, bool]]) -> str:
    rows = []
    for task, measure in measures.items():
        parts = [table[table["task"] == task] for table in answers.values()]
        cells = []
        for part in parts:
            scores = list(part["score"])
            low, high = interval(scores, list(part["concept"]), RESAMPLES, SEED)
            cells.append(f"{tables.number(mean(scores))}{tables.interval(low, high)}")
        rows.append([task, tables.measure_text(*measure), f"{len(parts[-1]):,}", *cells])
    return markdown_table(["task", "measure", "n", *answers], rows, words=range(2))


def _changes(revisions: Sequence[Revision]) -> str:
    """Table of the params that are not equal in all revisions."""
    values = {revision.name: revision.params() for revision in revisions}
    keys = sorted({key for params in values.values() for key in params})
    cells = {key: [params.get(key, ABSENT) for params in values.values()] for key in keys}
    rows = [[f"`{key}`", *map(_cell, row)] for key, row in cells.items() if any(value != row[0] for value in row)]
    return markdown_table(["param", *values], rows) if rows else "None: the same params.yaml."


def _cell(value: Any) -> str:
    numbers = value if isinstance(value, list) else [value]
    return str(value) if all(isinstance(one, int | float) for one in numbers) else literal(str(value), MAX_LENGTH)
