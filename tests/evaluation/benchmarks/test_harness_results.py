import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.core.schema import ANSWERS
from synthpairs.core.storage import write_table
from synthpairs.evaluation.benchmarks.external_benchmarks import run_lm_eval
from synthpairs.evaluation.benchmarks.harness_results import HarnessResults, harness_results
from tests.evaluation.benchmarks.conftest import EXTERNAL, PARAMS, log_likelihood


def report(task, entry, samples):
    """Results of one task, from a report with the keys that both harnesses write."""
    results = {
        "results": {task: {"alias": task} | entry}, "group_subtasks": {task: []}, "versions": {task: "Yaml"},
        "configs": {task: {"metadata": [{"version": 0.0}]}},
        "higher_is_better": {task: {name.partition(",")[0]: True for name in entry}},
        "n-samples": {task: {"original": 9, "effective": len(samples)}},
    }  # fmt: skip
    samples = [{"doc_id": number, "filtered_resps": " Yes\n"} | sample for number, sample in enumerate(samples)]
    return harness_results(task, results, {task: samples}, "lmms-eval 0.7.3", PARAMS)


def test_a_mean_over_questions_has_a_bootstrap_interval(tmp_path):
    """As lmms-eval reports `pope`: metrics are computed from values in the samples."""
    entry = {"pope_accuracy,none": 0.75, "pope_accuracy_stderr,none": "N/A", "pope_f1_score,none": 0.8}
    samples = [{"pope_accuracy": {"question_id": "1", "score": score}} for score in (1.0, 0.0, 1.0, 1.0)]
    results = report("pope", entry | {"pope_f1_score_stderr,none": "N/A"}, samples)
    numbers = results.numbers["pope"]
    assert 0 <= numbers["low"] < 0.75 < numbers["high"] <= 1
    expected = {
        "metric": "pope_accuracy", "value": 0.75, "n": 4, "version": 0.0, "higher_is_better": True,
        "engine": "lmms-eval 0.7.3", "metrics": {"pope_accuracy": 0.75, "pope_f1_score": 0.8},
        "stderr": pytest.approx(math.sqrt(0.75 * 0.25 / 3), abs=1e-6),
    }  # fmt: skip
    assert {name: numbers[name] for name in expected} == expected
    assert json.loads(json.dumps(numbers)) == numbers
    rows = [(row["uid"], row["score"], row["prediction"], row["blind"]) for row in results.rows]
    assert rows[:2] == [("pope/0", 1.0, "Yes", False), ("pope/1", 0.0, "Yes", False)]
    own = pd.DataFrame([dict.fromkeys(ANSWERS.names, "") | {"task": "desk_vqa", "blind": True, "score": 0.5}])
    assert HarnessResults().joined(own) is own
    both = (results | results).joined(own)
    assert both["task"].tolist() == ["desk_vqa", *["pope"] * 8]
    write_table(tmp_path / "items.parquet", both, ANSWERS)
    seed = [{"seed_all": {"pred": prediction, "answer": "B"}} for prediction in ("b", "C")]  # scored by its letters
    assert [row["score"] for row in report("seedbench", {"seed_all,none": 0.5}, seed).rows] == [1.0, 0.0]
    with pytest.raises(ValueError, match="vqav2_test has no metric; it may only write answers for a server"):
        report("vqav2_test", {"submission,none": "N/A"}, [])


def test_percent_is_a_mean_too_and_the_judge_is_named():
    def mmvet(judge):
        graded = [{"gpt_eval_score": {"score": 0.2, "eval_model": "judge-1"}}]
        graded += [{"gpt_eval_score": {"score": 0.6, "eval_model": judge}}]
        return report("mmvet", {"gpt_eval_score,none": 40.0}, graded)

    numbers = mmvet("judge-1").numbers["mmvet"]
    assert (numbers["value"], numbers["judge"]) == (40.0, "judge-1")
    assert 20 <= numbers["low"] < 40 < numbers["high"] <= 60
    with pytest.raises(ValueError, match="mmvet: the judge did not reply, which lmms-eval would count as 0"):
        mmvet("")


@pytest.mark.parametrize(
    ("value", "stderr", "expected"),
    [(150.0, "N/A", [None] * 3), (0.5, "N/A", [None] * 3), (150.0, 10.0, [10, 130.4, 169.6])],
)
def test_a_sum_of_scores_has_only_the_interval_of_the_harness(value, stderr, expected):
    samples = [{"mme_perception_score": {"score": 1.0}}, {"mme_cognition_score": {"score": 0.0}}]
    entry = {"mme_perception_score,none": value, "mme_perception_score_stderr,none": stderr}
    numbers = report("mme", entry, samples).numbers["mme"]
    assert numbers["value"] == value
    assert [numbers[name] for name in ("stderr", "low", "high")] == [
        number if number is None else pytest.approx(number, abs=0.01) for number in expected
    ]


def test_a_group_without_a_number_is_its_tasks():
    entry, sample = {"exact_match,none": 1.0}, {"doc_id": 0, "filtered_resps": "A", "exact_match": 1.0}
    reported = {
        "results": {"both": {"alias": "both"}, "one": entry, "other": entry},
        "group_subtasks": {"both": ["one", "other"], "one": [], "other": []},
        "versions": {"one": 1, "other": 2},
        "higher_is_better": {"one": {"exact_match": True}, "other": {"exact_match": False}},
        "n-samples": {"one": {"effective": 1}, "other": {"effective": 1}},
    }
    results = harness_results("both", reported, {"one": [sample], "other": [sample]}, "x", PARAMS)
    kept = {name: (numbers["version"], numbers["higher_is_better"]) for name, numbers in results.numbers.items()}
    assert kept == {"one": (1, True), "other": (2, False)}
    assert [row["task"] for row in results.rows] == ["one", "other"]


@pytest.fixture
def subjects(tmp_path, monkeypatch):
    """Two subjects in a group, like lm-eval's `mmlu`, with their tables in SYNTHPAIRS_DATASETS."""
    monkeypatch.setenv("SYNTHPAIRS_DATASETS", str(tmp_path / "sets"))
    for name, answers in (("sums", [1, 3, 0, 2, 1]), ("names", [0, 0, 1])):
        questions = [f"{name} {number}?" for number in range(len(answers))]
        rows = {"question": questions, "choices": [list("wxyz")] * len(answers), "answer": answers}
        (tmp_path / f"sets/owner/{name}").mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(tmp_path / f"sets/owner/{name}/test.parquet")
        (tmp_path / f"{name}.yaml").write_text(f"""\
task: {name}
dataset_path: owner/{name}
dataset_kwargs: {{cache_dir: {tmp_path / "cache"}}}
test_split: test
fewshot_split: test
fewshot_config: {{sampler: first_n}}
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 3.0}}
""")
    (tmp_path / "subjects.yaml").write_text("""\
group: subjects
task: [sums, names]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
""")
    return tmp_path


def test_a_group_of_lm_eval_is_one_benchmark(tiny_vlm, subjects):
    for key in ("tokens", "text"):
        with pytest.raises(
            ValueError, match=rf"params\.yaml: external_benchmarks\.{key}: lm-eval has no task 'nobodys'"
        ):
            run_lm_eval(*tiny_vlm, replace(EXTERNAL, **{key: ["nobodys"]}), PARAMS)
    cwd = Path.cwd()
    results = run_lm_eval(*tiny_vlm, replace(EXTERNAL, text=["subjects"], shots=1, include=str(subjects)), PARAMS)
    assert Path.cwd() == cwd
    numbers = results.numbers["subjects"]
    assert (numbers["metric"], numbers["n"], numbers["version"]) == ("acc", 8, 3.0)
    assert numbers["engine"].startswith("lm-eval 0.4")
    rows = {row["uid"]: row for row in results.rows}
    assert numbers["value"] == pytest.approx(sum(row["score"] for row in rows.values()) / 8, abs=1e-6)
    assert numbers["low"] <= numbers["value"] <= numbers["high"]
    assert {part: entry["n"] for part, entry in numbers["categories"].items()} == {"names": 3, "sums": 5}
    for subject in ("sums", "names"):  # one-shot: the first question and its answer precede each question
        table = pd.read_parquet(subjects / f"sets/owner/{subject}/test.parquet")
        first = f"{table['question'][0]} {table['choices'][0][table['answer'][0]]}\n\n"
        for number in (1, 2):
            context = f"{first}{table['question'][number]}"
            likelihoods = [log_likelihood(*tiny_vlm, context, f" {choice}") for choice in "wxyz"]
            row = rows[f"{subject}/{number}"]
            assert int(row["prediction"]) == max(range(4), key=likelihoods.__getitem__)
            assert row["score"] == float(int(row["prediction"]) == table["answer"][number])
