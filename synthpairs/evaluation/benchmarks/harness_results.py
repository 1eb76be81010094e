"""Conversion of results of lm-eval and lmms-eval to the numbers and answers that our own benchmarks have.

Both name a number `metric,filter`, its standard error `metric_stderr,filter`, and log every question's answer and
metrics. A group (MMLU has 57 subjects) that has a number becomes one benchmark whose categories are its tasks; of
another group each task becomes one.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import pandas as pd

from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.benchmarks.summary import DECIMALS, by_category, mean_numbers
from synthpairs.evaluation.statistics import LEVEL, mean


@dataclass(frozen=True, slots=True)
class HarnessResults:
    """Numbers by benchmark, and rows of ANSWERS, of external benchmarks."""

    numbers: dict[str, dict] = field(default_factory=dict)
    rows: list[dict] = field(default_factory=list)

    def __or__(self, other: "HarnessResults") -> "HarnessResults":
        return HarnessResults(self.numbers | other.numbers, self.rows + other.rows)

    def joined(self, answers: pd.DataFrame) -> pd.DataFrame:
        """These and our own answers, sorted."""
        if not self.rows:
            return answers
        both = pd.concat([answers, pd.DataFrame(self.rows)], ignore_index=True)
        return both.sort_values(["task", "blind", "uid"], ignore_index=True)


def harness_results(
    task: str, results: Mapping[str, Any], samples: Mapping[str, Sequence[dict]], engine: str, params: Benchmark
) -> HarnessResults:
    """Numbers and answers of a task or group; ValueError when it has no number.

    `value` is the task's first metric, `metrics` has all of them. The interval is a bootstrap over questions if `value` is
    their mean, else 1.96 of the harness's standard errors, else null. Unscored answers have no row.
    """
    converted = HarnessResults()
    for name in _numbered(task, results):
        metrics, leaves = _metrics(name, results), _leaves(name, results)
        rows = [row for leaf in leaves for row in _rows(name, leaf, samples.get(leaf, ()), metrics)]
        first = next(iter(metrics)).partition(",")[0]
        complete = all(first in sample for leaf in leaves for sample in samples.get(leaf, ()))
        numbers = {"engine": engine} | _numbers(name, leaves, results, rows if complete else [], params)
        converted |= HarnessResults({name: numbers}, rows)
    if not converted.numbers:
        raise ValueError(
            f"{engine}: {task} has no metric; it may only write answers for a server that has the solutions"
        )
    return converted


def _numbered(task: str, results: Mapping[str, Any]) -> list[str]:
    """The task, or those below it in its group, that have numbers."""
    if _metrics(task, results):
        return [task]
    return [name for part in results["group_subtasks"].get(task, ()) for name in _numbered(part, results)]


def _leaves(task: str, results: Mapping[str, Any]) -> list[str]:
    parts = results["group_subtasks"].get(task, ())
    return [leaf for part in parts for leaf in _leaves(part, results)] if parts else [task]


def _entry(task: str, results: Mapping[str, Any]) -> Mapping[str, Any]:
    return results.get("groups", {}).get(task) or results["results"].get(task, {})


def _metrics(task: str, results: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _entry(task, results).items()
        if "," in name and "_stderr" not in name and isinstance(value, int | float) and not math.isnan(value)
    }


def _numbers(
    task: str, leaves: list[str], results: Mapping[str, Any], rows: list[dict], params: Benchmark
) -> dict[str, Any]:
    """Numbers without `engine`; `rows` are those that the first metric may be a mean of."""
    metrics = _metrics(task, results)
    key, value = next(iter(metrics.items()))
    metric, _, filtered = key.partition(",")
    numbers: dict[str, Any] = {
        "metric": metric,
        "higher_is_better": (results["higher_is_better"].get(task) or {}).get(metric) is not False,
        "version": _version(task, leaves, results),
        "value": round(value, DECIMALS),
        **_spread(value, _entry(task, results).get(f"{metric}_stderr,{filtered}")),
        "n": sum(results["n-samples"][leaf]["effective"] for leaf in leaves),
        "categories": {},
    }
    scores = [row["score"] for row in rows]
    for scale in (1, 100) if scores else ():  # a mean over questions, plain or in percent
        if math.isclose(scale * mean(scores), value, abs_tol=1e-6 * scale):
            table, top = pd.DataFrame(rows), max(1.0, *scores)
            numbers |= _scaled(mean_numbers(table, top, params), scale) | {"n": numbers["n"]}
            if len(leaves) > 1:
                parts = by_category(table, top, params)
                numbers["categories"] = {name: _scaled(part, scale) for name, part in parts.items()}
            break
    if len(metrics) > 1:
        numbers["metrics"] = {name.removesuffix(",none"): round(number, DECIMALS) for name, number in metrics.items()}
    if judges := sorted({row["judge"] for row in rows if "judge" in row}):
        numbers["judge"] = ", ".join(judges)
    return numbers


def _spread(value: float, stderr: Any) -> dict[str, float | None]:
    """Standard error and 95% interval from a harness's own standard error, which may be "N/A"."""
    if not isinstance(stderr, int | float) or math.isnan(stderr):
        return {"stderr": None, "low": None, "high": None}
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * stderr
    numbers = {"stderr": stderr, "low": value - reach, "high": value + reach}
    return {name: round(number, DECIMALS) for name, number in numbers.items()}


def _scaled(numbers: dict[str, Any], scale: int) -> dict[str, Any]:
    return {
        name: number if name == "n" or number is None else round(scale * number, DECIMALS)
        for name, number in numbers.items()
    }


def _version(task: str, leaves: list[str], results: Mapping[str, Any]) -> float | str:
    """Version of a task, or of the first of a group; lmms-eval's own results miss one whose metadata is a list."""
    version = results["versions"].get(task)
    if isinstance(version, int | float):
        return version
    for name in (task, leaves[0]):
        metadata = results.get("configs", {}).get(name, {}).get("metadata")
        for entry in metadata if isinstance(metadata, list) else [metadata]:
            if isinstance(entry, dict) and "version" in entry:
                return entry["version"]
    return version or "none"


def _rows(task: str, leaf: str, samples: Sequence[dict], metrics: Mapping[str, float]) -> Iterator[dict]:
    """Rows of ANSWERS, with `judge` where a model graded the answer; ValueError when that model did not reply."""
    names = [name.partition(",")[0] for name in metrics]
    for sample in samples:
        if sample.get("filter") != samples[0].get("filter"):  # lm-eval logs a question once for each filter
            continue
        measured = next((sample[name] for name in names if name in sample), None)
        judge = measured.get("eval_model") if isinstance(measured, dict) else None
        if judge == "":
            raise ValueError(
                f"{task}: the judge did not reply, which lmms-eval would count as 0; check MODEL_VERSION, "
                "OPENAI_API_URL (or OPENAI_BASE_URL) and OPENAI_API_KEY"
            )
        score = _score(measured)
        if score is None:
            continue
        uid = f"{leaf}/{sample['doc_id']}"
        row = {"uid": uid, "task": task, "blind": False, "category": leaf if leaf != task else "", "concept": uid}
        row |= {"prediction": _prediction(sample.get("filtered_resps")), "score": score}
        yield row | ({"judge": judge} if judge else {})


def _score(measured: Any) -> float | None:
    """Score of one question: a number, or that in what a task passes to its aggregation."""
    if isinstance(measured, dict) and {"pred", "answer"} <= measured.keys():  # SEED-Bench
        return float(str(measured["pred"]).strip().lower() == str(measured["answer"]).strip().lower())
    number = measured.get("score") if isinstance(measured, dict) else measured
    return float(number) if isinstance(number, int | float) else None


def _prediction(answer: Any) -> str:
    """The answer's text; of log-likelihoods of choices the index of the largest."""
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, list) and all(isinstance(choice, list | tuple) for choice in answer):
        likelihoods = [float(choice[0]) for choice in answer]
        return str(likelihoods.index(max(likelihoods)))
    return answer.strip() if isinstance(answer, str) else json.dumps(answer)
