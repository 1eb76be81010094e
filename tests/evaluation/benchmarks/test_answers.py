import copy
import shutil
from pathlib import Path

import pandas as pd
import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from synthpairs.core.schema import ANSWERS
from synthpairs.core.storage import read_table, write_table
from synthpairs.emoji.tasks.definitions import PICTURED, TASKS
from synthpairs.evaluation.benchmarks.answers import answer_all, answer_first
from synthpairs.evaluation.benchmarks.cider import mean_cider
from synthpairs.evaluation.benchmarks.summary import summarise
from synthpairs.vlm.model import save
from tests.evaluation.benchmarks.conftest import PARAMS, SMALL, directly, log_likelihood


@pytest.fixture(scope="module")
def answers(tiny_vlm, task_directory):
    """The tiny model's answers to all benchmarks."""
    table, versions = answer_all(*tiny_vlm, task_directory, PARAMS.batch_size, TASKS)
    assert versions == dict.fromkeys(TASKS, 1.0)
    return table


def test_every_question_is_answered(answers, task_directory):
    assert list(answers.columns) == ANSWERS.names
    counts = answers.groupby(["task", "blind"]).size().to_dict()
    sizes = {task: getattr(SMALL, task.removeprefix("desk_")) for task in TASKS}
    assert counts == {(task, False): sizes[task] for task in TASKS} | {(task, True): sizes[task] for task in PICTURED}
    for task in TASKS:
        items = pd.read_parquet(task_directory / f"{task}.parquet")
        assert set(answers["uid"][answers["task"] == task]) == set(items["uid"])
    captions = answers[~answers["blind"] & (answers["task"] == "desk_caption")]
    assert captions["prediction"].nunique() > 1  # to one question, so the images made the difference


@pytest.mark.parametrize("blind", [False, True])
def test_answers_are_the_models_own(answers, tiny_vlm, task_directory, blind):
    """Batching, padding and lm-eval's prompt change nothing; blind means without image tokens, not a black image."""
    predictions = answers.query("task == 'desk_pope' and blind == @blind").set_index("uid")["prediction"]
    for row in pd.read_parquet(task_directory / "desk_pope.parquet").head(6).itertuples():
        assert predictions[row.uid] == directly(*tiny_vlm, row.question, None if blind else row.picture)


def test_plain_lm_eval_gives_the_same_answers(answers, tiny_vlm, task_directory, tmp_path):
    """The definitions need only our scoring functions: the stock `hf-multimodal` runs them."""
    for part in tiny_vlm:
        part.save_pretrained(tmp_path)
    tasks = ["desk_vqa", "desk_caption"]
    results = simple_evaluate(
        "hf-multimodal", {"pretrained": str(tmp_path)}, tasks, batch_size=4, device="cpu", limit=6, bootstrap_iters=0,
        apply_chat_template=True, task_manager=TaskManager(include_path=str(task_directory), include_defaults=False),
    )  # fmt: skip
    predictions = answers[~answers["blind"]].set_index("uid")["prediction"]
    for task in tasks:
        for sample in results["samples"][task]:
            assert sample["filtered_resps"][0].strip() == predictions[sample["doc"]["uid"]]
    captions = [
        (sample["filtered_resps"][0], sample["doc"]["answers"]) for sample in results["samples"]["desk_caption"]
    ]
    assert results["results"]["desk_caption"]["cider,none"] == pytest.approx(mean_cider(captions))


def test_text_answers_are_the_likeliest_choice(answers, tiny_vlm, task_directory):
    predictions = answers[answers["task"] == "desk_text"].set_index("uid")["prediction"]
    for row in pd.read_parquet(task_directory / "desk_text.parquet").head(4).itertuples():
        likelihoods = {choice: log_likelihood(*tiny_vlm, row.question, f" {choice}") for choice in row.choices}
        assert predictions[row.uid] == max(likelihoods, key=likelihoods.__getitem__)


def test_some_tasks_or_items_have_the_same_answers(tiny_vlm, task_directory, answers, tmp_path):
    text, versions = answer_all(*tiny_vlm, task_directory, PARAMS.batch_size, ["desk_text"])
    assert versions == {"desk_text": 1.0}
    pd.testing.assert_frame_equal(text, answers[answers["task"] == "desk_text"].reset_index(drop=True))
    first = answer_first(*tiny_vlm, task_directory, PARAMS.batch_size, "desk_vqa", 12)
    assert set(first["uid"]) == set(pd.read_parquet(task_directory / "desk_vqa.parquet")["uid"][:12])
    both = first.merge(answers, on=["uid", "task", "blind"])
    assert len(both) == 12
    assert both["score_x"].equals(both["score_y"])
    none, versions = answer_all(*tiny_vlm, task_directory, 4, [])
    assert summarise(none, versions, PARAMS) == {}
    write_table(tmp_path / "items.parquet", none, ANSWERS)
    assert read_table(tmp_path / "items.parquet", "").empty
    with pytest.raises(FileNotFoundError, match=r"desk_caption\.yaml is missing: run `dvc repro tasks` first"):
        answer_all(*tiny_vlm, tmp_path, 4, TASKS)


def test_numbers(answers):
    numbers = summarise(answers, dict.fromkeys(TASKS, 1.0), PARAMS)
    assert {task: entry["metric"] for task, entry in numbers.items()} == {
        task: "cider_d" if task == "desk_caption" else "accuracy" for task in TASKS
    }
    text = answers[answers["task"] == "desk_text"]
    assert numbers["desk_text"]["value"] == pytest.approx(text["score"].mean(), abs=1e-6)
    assert "blind" not in numbers["desk_text"]
    for task in PICTURED:
        entry = numbers[task]
        assert entry["n"] == entry["blind"]["n"] == sum(part["n"] for part in entry["categories"].values())
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["gain"]["value"] == pytest.approx(entry["value"] - entry["blind"]["value"], abs=2e-6)
        assert (entry["higher_is_better"], entry["version"]) == (True, 1.0)


def test_the_stage(tiny_vlm, task_directory, tmp_path, monkeypatch):
    """`python -m stages.benchmark untrained` writes numbers and answers, the same bytes twice."""
    from stages import benchmark

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    shutil.copytree(task_directory, "data/tasks")
    model, processor = tiny_vlm
    save(copy.deepcopy(model), processor, Path("models/vlm/untrained"))
    Path("params.yaml").write_text("""\
benchmark: {tasks: {pictures: [desk_sqa, desk_text], tokens: []}, batch_size: 48, resamples: 200, seed: 0}
external_benchmarks: {pictures: [], tokens: [], text: [], shots: 5, limit: null, include: null}
""")

    def run(arm):
        monkeypatch.setattr("sys.argv", ["benchmark", arm])
        benchmark.main()
        return [Path("reports/benchmarks", name).read_bytes() for name in (f"{arm}.json", f"items/{arm}.parquet")]

    assert run("untrained") == run("untrained")
    table = pd.read_parquet("reports/benchmarks/items/untrained.parquet")
    assert table.columns.tolist() == ANSWERS.names
    assert set(table["task"]) == {"desk_sqa", "desk_text"}
    with pytest.raises(ValueError, match=r"ARM one of selected, .*, genpair, synthetic, untrained; got 'best'"):
        run("best")
    with pytest.raises(FileNotFoundError, match="models/vlm/selected/finetuned"):
        run("selected")
