"""The whole way from tables through lm-eval to numbers, with a tiny random LLaVA, against asking the model directly."""

import copy
import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from PIL import Image
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.benchmarks.definitions import PICTURED, TASKS
from synthpairs.benchmarks.evaluation import answer_all, answer_first
from synthpairs.benchmarks.params import Asked, Benchmark, Tasks
from synthpairs.benchmarks.scoring import option, short_answer, yes_or_no
from synthpairs.benchmarks.summary import add_overlap, summarise
from synthpairs.schema import ANSWERS
from synthpairs.storage import read_table, write_table
from synthpairs.vlm.model import save

Model = tuple[LlavaForConditionalGeneration, LlavaProcessor]
PARAMS = Benchmark(
    tasks=Asked(pictures=["desk_pope", "desk_text"], codes=["desk_vqa"]), batch=48, resamples=200, seed=0
)


@pytest.fixture(scope="module")
def answered(tiny_vlm: Model, task_directory: Path) -> tuple[pd.DataFrame, dict]:
    """The tiny model's answers to everything."""
    return answer_all(*tiny_vlm, task_directory, PARAMS.batch, TASKS)


def directly(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, question: str, picture: bytes | None
) -> str:
    """The greedy answer of three tokens, as a user of the model would get it; a picture comes before its question."""
    content = ([{"type": "image"}] if picture else []) + [{"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [Image.open(io.BytesIO(picture))] if picture else None
    inputs = processor(images=images, text=prompt, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**inputs, max_new_tokens=3, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(ids, skip_special_tokens=True).split("\n")[0].strip()


def test_every_question_is_answered(answered: tuple[pd.DataFrame, dict], task_directory: Path, small: Tasks) -> None:
    answers, versions = answered
    assert list(answers.columns) == ANSWERS.names
    assert versions == dict.fromkeys(TASKS, 1.0)
    counts = answers.groupby(["task", "blind"]).size().to_dict()
    sizes = {task: getattr(small, task.removeprefix("desk_")) for task in TASKS}
    assert counts == {(task, False): sizes[task] for task in TASKS} | {(task, True): sizes[task] for task in PICTURED}
    for task in TASKS:
        asked = pd.read_parquet(task_directory / f"{task}.parquet")
        assert set(answers["uid"][answers["task"] == task]) == set(asked["uid"])


@pytest.mark.parametrize("blind", [False, True])
def test_answers_are_the_models_own(
    answered: tuple[pd.DataFrame, dict], tiny_vlm: Model, task_directory: Path, blind: bool
) -> None:
    """Batching, padding and lm-eval's prompt change nothing; blind means no picture tokens, not a black picture."""
    answers = answered[0].query("task == 'desk_pope' and blind == @blind").set_index("uid")["prediction"]
    for row in pd.read_parquet(task_directory / "desk_pope.parquet").head(6).itertuples():
        assert answers[row.uid] == directly(*tiny_vlm, row.question, None if blind else row.picture)


def test_plain_lm_eval_gives_the_same_answers(
    answered: tuple[pd.DataFrame, dict], tiny_vlm: Model, task_directory: Path, tmp_path: Path
) -> None:
    """The definitions need nothing of ours but the scoring functions: the stock `hf-multimodal` runs them."""
    for part in tiny_vlm:
        part.save_pretrained(tmp_path)
    tasks = ["desk_vqa", "desk_caption"]
    results = simple_evaluate(
        "hf-multimodal", {"pretrained": str(tmp_path)}, tasks, batch_size=4, device="cpu", limit=6, bootstrap_iters=0,
        apply_chat_template=True, task_manager=TaskManager(include_path=str(task_directory), include_defaults=False),
    )  # fmt: skip
    predictions = answered[0][~answered[0]["blind"]].set_index("uid")["prediction"]
    for task in tasks:
        for sample in results["samples"][task]:
            assert sample["filtered_resps"][0].strip() == predictions[sample["doc"]["uid"]]


def test_blind_answers_depend_on_the_question_alone(answered: tuple[pd.DataFrame, dict], task_directory: Path) -> None:
    asked = pd.concat([pd.read_parquet(task_directory / f"{task}.parquet") for task in PICTURED])
    questions = asked.set_index("uid")["question"]
    for task, rows in answered[0][answered[0]["blind"]].groupby("task"):
        assert rows.groupby(rows["uid"].map(questions))["prediction"].nunique().max() == 1, task
    seen = answered[0][~answered[0]["blind"] & (answered[0]["task"] == "desk_caption")]
    assert seen["prediction"].nunique() > 1  # one question, so the pictures made the difference


def test_text_is_the_likeliest_end(answered: tuple[pd.DataFrame, dict], tiny_vlm: Model, task_directory: Path) -> None:
    model, processor = tiny_vlm
    predictions = answered[0][answered[0]["task"] == "desk_text"].set_index("uid")["prediction"]
    for row in pd.read_parquet(task_directory / "desk_text.parquet").head(4).itertuples():
        likelihoods = {}
        for choice in row.choices:
            start = len(processor.tokenizer(row.question)["input_ids"])
            ids = processor.tokenizer(f"{row.question} {choice}", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                log_probs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
            likelihoods[choice] = log_probs.gather(1, ids[0, start:, None]).sum().item()
        assert predictions[row.uid] == max(likelihoods, key=likelihoods.__getitem__)


def test_no_tasks_have_no_numbers(tiny_vlm: Model, task_directory: Path, tmp_path: Path) -> None:
    answers, versions = answer_all(*tiny_vlm, task_directory, 4, [])
    assert summarise(answers, versions, PARAMS) == {}
    write_table(tmp_path / "items.parquet", answers, ANSWERS)
    assert read_table(tmp_path / "items.parquet", "").empty


def test_numbers(answered: tuple[pd.DataFrame, dict]) -> None:
    answers, versions = answered
    numbers = summarise(answers, versions, PARAMS)
    assert list(numbers) == sorted(TASKS)
    text = answers[answers["task"] == "desk_text"]
    assert numbers["desk_text"]["value"] == pytest.approx(text["score"].mean(), abs=1e-6)
    assert "blind" not in numbers["desk_text"]
    for task in PICTURED:
        entry = numbers[task]
        assert entry["n"] == entry["blind"]["n"] == sum(part["n"] for part in entry["categories"].values())
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["gain"]["value"] == pytest.approx(entry["value"] - entry["blind"]["value"], abs=2e-6)
        assert (entry["higher_is_better"], entry["version"]) == (True, 1.0)
    assert [numbers[task]["metric"] for task in sorted(TASKS)] == ["cider_d", *["accuracy"] * 4]


def test_overlap_stands_beside_cider_with_pictures_and_blind(
    answered: tuple[pd.DataFrame, dict], task_directory: Path
) -> None:
    answers, versions = answered
    plain, numbers = (summarise(answers, versions, PARAMS) for _ in range(2))
    references = pd.read_parquet(task_directory / "desk_caption.parquet").set_index("uid")["answers"]
    add_overlap(numbers, answers, references, ["bleu_4", "rouge_l"], PARAMS)
    for entry in (numbers["desk_caption"], numbers["desk_caption"]["blind"]):
        found = entry.pop("overlap")
        assert list(found) == ["bleu_4", "rouge_l"]
        assert all(0 <= part["low"] <= part["value"] <= part["high"] <= 1 for part in found.values())
    assert numbers == plain
    right = answers[(answers["task"] == "desk_caption") & ~answers["blind"]]
    right = right.assign(prediction=[captions[0] for captions in references[right["uid"]]])
    add_overlap(numbers, right, references, ["bleu_4", "rouge_l"], PARAMS)
    values = [part["value"] for part in numbers["desk_caption"]["overlap"].values()]
    assert values == pytest.approx([1, 1], abs=1e-6)


def test_right_answers_score_fully(task_directory: Path) -> None:
    for task, judge in (("desk_pope", yes_or_no), ("desk_vqa", short_answer), ("desk_sqa", option)):
        for row in pd.read_parquet(task_directory / f"{task}.parquet").to_dict("records"):
            for list_column in ("answers", "choices"):
                row[list_column] = None if row[list_column] is None else list(row[list_column])
            assert judge(row, [row["answers"][0]]) == {"accuracy": 1.0}


def test_the_first_items_of_one_task_have_the_same_answers(
    tiny_vlm: Model, task_directory: Path, answered: tuple[pd.DataFrame, dict]
) -> None:
    first = answer_first(*tiny_vlm, task_directory, PARAMS.batch, "desk_vqa", 12)
    asked = pd.read_parquet(task_directory / "desk_vqa.parquet")["uid"][:12]
    assert sorted(first["uid"]) == sorted(asked)
    both = first.merge(answered[0], on=["uid", "task", "blind"])
    assert len(both) == 12
    assert both["score_x"].equals(both["score_y"])


def test_only_the_tasks_that_are_named_are_asked(
    tiny_vlm: Model, task_directory: Path, answered: tuple[pd.DataFrame, dict]
) -> None:
    answers, versions = answer_all(*tiny_vlm, task_directory, PARAMS.batch, ["desk_text"])
    assert versions == {"desk_text": 1.0}
    expected = answered[0][answered[0]["task"] == "desk_text"].reset_index(drop=True)
    pd.testing.assert_frame_equal(answers, expected)


def test_missing_definitions_name_the_command(tiny_vlm: Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"desk_caption\.yaml is missing: run `dvc repro tasks` first"):
        answer_all(*tiny_vlm, tmp_path, 4, TASKS)


def test_the_stage(tiny_vlm: Model, task_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m stages.benchmark untrained` writes numbers and answers, the same bytes twice."""
    from stages import benchmark

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    shutil.copytree(task_directory, "data/tasks")
    model, processor = tiny_vlm
    save(copy.deepcopy(model), processor, Path("models/vlm/untrained"))
    asked = "{pictures: [desk_sqa, desk_text], codes: []}"
    off = "pictures: [], text: [], shots: 5, limit: null, include: null, captions: []"
    benchmark_section = f"benchmark: {{tasks: {asked}, batch: 48, resamples: 200, seed: 0}}"
    Path("params.yaml").write_text(f"{benchmark_section}\nsuite: {{{off}}}\n")
    outs = (Path("reports/benchmarks/untrained.json"), Path("reports/benchmarks/items/untrained.parquet"))
    written = []
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["benchmark", "untrained"])
        benchmark.main()
        written.append([path.read_bytes() for path in outs])
    assert written[0] == written[1]
    answers = pd.read_parquet(outs[1])
    assert answers.columns.tolist() == ANSWERS.names
    assert set(answers["task"]) == {"desk_sqa", "desk_text"}
    monkeypatch.setattr("sys.argv", ["benchmark", "best"])
    with pytest.raises(ValueError, match=r"ARM one of selected, .*, genpair, synthetic, untrained; got 'best'"):
        benchmark.main()
    monkeypatch.setattr("sys.argv", ["benchmark", "selected"])
    with pytest.raises(FileNotFoundError, match="models/vlm/selected/finetuned"):
        benchmark.main()
