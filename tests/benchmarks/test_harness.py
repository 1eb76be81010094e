"""Reports of lm-eval and lmms-eval as numbers and answers, and the stock lm-eval run on tasks written here."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.benchmarks.harness import Asked, asked_of
from synthpairs.benchmarks.language import ask_text
from synthpairs.benchmarks.params import Asked as Tasks
from synthpairs.benchmarks.params import Benchmark
from synthpairs.benchmarks.suite_params import Suite
from synthpairs.schema import ANSWERS
from synthpairs.storage import write_table

Model = tuple[LlavaForConditionalGeneration, LlavaProcessor]
PARAMS = Benchmark(tasks=Tasks(pictures=[], codes=[]), batch=8, resamples=200, seed=0)
SUITE = Suite(pictures=[], text=[], shots=0, limit=None, include=None, captions=[])


def report(task: str, entry: dict, samples: list[dict], **more: dict) -> Asked:
    """What is made of one task's report, with the keys that both harnesses write."""
    results = {
        "results": {task: {"alias": task} | entry},
        "group_subtasks": {task: []},
        "configs": {task: {"metadata": [{"version": 0.0}]}},
        "versions": {task: "Yaml"},
        "higher_is_better": {task: {name.partition(",")[0]: True for name in entry}},
        "n-samples": {task: {"original": 9, "effective": len(samples)}},
    } | more
    return asked_of(task, results, {task: samples}, "lmms-eval 0.7.3", PARAMS)


def pope(scores: list[float]) -> Asked:
    """As lmms-eval's `pope` reports it: what its metrics are computed from stands in the samples."""
    samples = [
        {"doc_id": place, "filtered_resps": " Yes\n", "pope_accuracy": {"question_id": str(place), "score": score}}
        for place, score in enumerate(scores)
    ]
    entry = {
        "pope_accuracy,none": sum(scores) / len(scores),
        "pope_accuracy_stderr,none": "N/A",
        "pope_f1_score,none": 0.8,
        "pope_f1_score_stderr,none": "N/A",
    }
    return report("pope", entry, samples)


def test_a_mean_of_questions_has_a_bootstrap_interval_and_rows() -> None:
    found = pope([1.0, 0.0, 1.0, 1.0])
    numbers = found.numbers["pope"]
    assert numbers["value"] == 0.75
    assert 0 <= numbers["low"] < 0.75 < numbers["high"] <= 1
    assert numbers["stderr"] == pytest.approx(math.sqrt(0.75 * 0.25 / 3), abs=1e-6)
    assert {name: numbers[name] for name in ("metric", "n", "version", "higher_is_better", "engine")} == {
        "metric": "pope_accuracy", "n": 4, "version": 0.0, "higher_is_better": True, "engine": "lmms-eval 0.7.3",
    }  # fmt: skip
    assert numbers["metrics"] == {"pope_accuracy": 0.75, "pope_f1_score": 0.8}
    assert json.loads(json.dumps(numbers)) == numbers
    assert [(row["uid"], row["score"], row["prediction"], row["blind"]) for row in found.rows][:2] == [
        ("pope/0", 1.0, "Yes", False),
        ("pope/1", 0.0, "Yes", False),
    ]


def test_percent_is_a_mean_too_and_its_judge_is_named() -> None:
    samples = [
        {"doc_id": place, "filtered_resps": ["a"], "gpt_eval_score": {"score": score, "eval_model": "judge-1"}}
        for place, score in enumerate([0.2, 0.6])
    ]
    numbers = report("mmvet", {"gpt_eval_score,none": 40.0}, samples).numbers["mmvet"]
    assert (numbers["value"], numbers["judge"]) == (40.0, "judge-1")
    assert 20 <= numbers["low"] < 40 < numbers["high"] <= 60
    samples[1]["gpt_eval_score"]["eval_model"] = ""
    with pytest.raises(ValueError, match="mmvet: its judge did not answer, and lmms-eval would count that as 0"):
        report("mmvet", {"gpt_eval_score,none": 10.0}, samples)


def test_a_sum_of_scores_has_only_the_interval_that_its_harness_gives() -> None:
    samples = [{"doc_id": 0, "filtered_resps": "Yes", "mme_perception_score": {"score": 1.0}}]
    samples.append({"doc_id": 1, "filtered_resps": "Yes", "mme_cognition_score": {"score": 0.0}})
    entry = {"mme_perception_score,none": 150.0, "mme_perception_score_stderr,none": "N/A"}
    numbers = report("mme", entry, samples).numbers["mme"]
    assert [numbers[name] for name in ("value", "stderr", "low", "high")] == [150.0, None, None, None]
    assert report("mme", entry | {"mme_perception_score,none": 0.5}, samples).numbers["mme"]["low"] is None
    entry["mme_perception_score_stderr,none"] = 10.0
    numbers = report("mme", entry, samples).numbers["mme"]
    assert [numbers[name] for name in ("stderr", "low", "high")] == pytest.approx([10, 130.4, 169.6], abs=0.01)


def test_seed_bench_is_scored_by_its_letters() -> None:
    samples = [
        {"doc_id": place, "filtered_resps": pred, "seed_all": {"pred": pred, "answer": "B"}}
        for place, pred in enumerate(["b", "C"])
    ]
    assert [row["score"] for row in report("seedbench", {"seed_all,none": 0.5}, samples).rows] == [1.0, 0.0]


def test_what_only_writes_a_submission_is_an_error() -> None:
    with pytest.raises(ValueError, match="vqav2_test gives no number; it may only write answers for a server"):
        report("vqav2_test", {"submission,none": "N/A"}, [])


def test_a_group_without_a_number_is_its_tasks() -> None:
    entry, sample = {"exact_match,none": 1.0}, {"doc_id": 0, "filtered_resps": "A", "exact_match": 1.0}
    results = {
        "results": {"both": {"alias": "both"}, "one": entry, "other": entry},
        "group_subtasks": {"both": ["one", "other"], "one": [], "other": []},
        "versions": {"one": 1, "other": 2},
        "higher_is_better": {"one": {"exact_match": True}, "other": {"exact_match": False}},
        "n-samples": {"one": {"effective": 1}, "other": {"effective": 1}},
    }
    found = asked_of("both", results, {"one": [sample], "other": [sample]}, "x", PARAMS)
    kept = {name: (numbers["version"], numbers["higher_is_better"]) for name, numbers in found.numbers.items()}
    assert kept == {"one": (1, True), "other": (2, False)}
    assert [row["task"] for row in found.rows] == ["one", "other"]


def test_answers_stand_beside_our_own_in_order(tmp_path: Path) -> None:
    own = pd.DataFrame(
        [{"uid": "1", "task": "desk_vqa", "blind": True, "category": "", "concept": "", "prediction": "", "score": 0.5}]
    )
    assert Asked().beside(own) is own
    both = (pope([1.0]) | pope([1.0, 0.0])).beside(own)
    assert both["task"].tolist() == ["desk_vqa", "pope", "pope", "pope"]
    write_table(tmp_path / "items.parquet", both, ANSWERS)


@pytest.fixture
def subjects(tmp_path: Path) -> Path:
    """Two subjects in a group, as lm-eval's `mmlu` is built, over local tables."""
    for name, right in (("sums", [1, 3, 0, 2, 1]), ("names", [0, 0, 1])):
        rows = [
            {"question": f"{name} {place}?", "choices": list("wxyz"), "answer": answer}
            for place, answer in enumerate(right)
        ]
        pd.DataFrame(rows).to_parquet(tmp_path / f"{name}.parquet")
        (tmp_path / f"{name}.yaml").write_text(f"""\
task: {name}
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {tmp_path / name}.parquet}}, cache_dir: {tmp_path}}}
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


def test_a_group_of_lm_eval_is_one_benchmark(tiny_vlm: Model, subjects: Path) -> None:
    suite = replace(SUITE, text=["subjects"], shots=1, include=str(subjects))
    found = ask_text(*tiny_vlm, suite, PARAMS)
    (name,), (numbers,) = found.numbers, found.numbers.values()
    assert (name, numbers["metric"], numbers["n"], numbers["version"]) == ("subjects", "acc", 8, 3.0)
    assert numbers["engine"].startswith("lm-eval 0.4")
    scores = pd.DataFrame(found.rows).set_index("uid")["score"]
    assert numbers["value"] == pytest.approx(scores.mean(), abs=1e-6)
    assert numbers["low"] <= numbers["value"] <= numbers["high"]
    assert {part: entry["n"] for part, entry in numbers["categories"].items()} == {"names": 3, "sums": 5}
    model, processor = tiny_vlm
    for subject in ("sums", "names"):  # each question after the first one with its answer
        table = pd.read_parquet(subjects / f"{subject}.parquet")
        first = f"{table['question'][0]} {table['choices'][0][table['answer'][0]]}\n\n"
        for place in (1, 2):
            context = f"{first}{table['question'][place]}"
            likelihoods = [likelihood(model, processor, context, f" {choice}") for choice in "wxyz"]
            row = next(row for row in found.rows if row["uid"] == f"{subject}/{place}")
            assert int(row["prediction"]) == max(range(4), key=likelihoods.__getitem__)
            assert row["score"] == float(int(row["prediction"]) == table["answer"][place])


def likelihood(model: LlavaForConditionalGeneration, processor: LlavaProcessor, context: str, end: str) -> float:
    start = len(processor.tokenizer(context)["input_ids"])
    ids = processor.tokenizer(context + end, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        log_probs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
    return log_probs.gather(1, ids[0, start:, None]).sum().item()


def test_an_unknown_task_of_lm_eval_is_named(tiny_vlm: Model) -> None:
    with pytest.raises(ValueError, match=r"params\.yaml: suite\.text: lm-eval has no task 'mmlu_of_nobody'"):
        ask_text(*tiny_vlm, replace(SUITE, text=["mmlu_of_nobody"]), PARAMS)
