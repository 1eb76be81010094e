"""The written tables: splits kept apart, answers balanced, POPE's splits as POPE defines them, equal bytes every time."""

import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from synthpairs.artwork.scenes import BACKGROUNDS
from synthpairs.artwork.scenes import KINDS as SCENES
from synthpairs.benchmarks.definitions import PICTURED, TASKS, definitions
from synthpairs.benchmarks.instructions import instruction_rows
from synthpairs.benchmarks.params import Mix, Tasks
from synthpairs.benchmarks.questions import WORDINGS
from synthpairs.benchmarks.studio import Studio
from synthpairs.benchmarks.words import CLASSES, word_classes
from synthpairs.benchmarks.writing import TAUGHT, check_split, make_tasks
from synthpairs.params import load_params

REAL = Path("data/tasks")


def table(directory: Path, task: str) -> pd.DataFrame:
    return pd.read_parquet(directory / f"{task}.parquet")


def talks(directory: Path, task: str) -> list:
    rows = table(directory, "instructions")
    return list(rows[rows["task"] == task].itertuples())


def shown(rows: pd.DataFrame) -> set[str]:
    return {drawing for drawings in rows["drawings"] for drawing in drawings}


def assert_apart(directory: Path, drawings: pd.DataFrame) -> None:
    splits = drawings.set_index("drawing")["split"]
    benchmarks = set().union(*(shown(table(directory, task)) for task in TASKS))
    instructions = shown(table(directory, "instructions"))
    assert benchmarks
    assert instructions
    assert not benchmarks & instructions
    assert set(splits[sorted(benchmarks)]) == {"heldout_combination"}
    assert set(splits[sorted(instructions)]) == {"train"}


def test_nothing_held_out_is_taught(task_directory: Path, drawings: pd.DataFrame) -> None:
    assert_apart(task_directory, drawings)
    with pytest.raises(AssertionError, match="not of split train"):
        check_split("x", [{"uid": "1", "drawings": ["dog/fox"]}], drawings, "train")


@pytest.mark.skipif(not (REAL / "instructions.parquet").exists(), reason="needs data/tasks: dvc repro tasks")
def test_nothing_held_out_is_taught_in_the_real_tables() -> None:
    assert_apart(REAL, pd.read_parquet("data/art/drawings.parquet", columns=["drawing", "split"]))


def test_sizes_and_pictures(task_directory: Path, small: Tasks) -> None:
    for task in TASKS:
        rows = table(task_directory, task)
        assert len(rows) == getattr(small, task.removeprefix("desk_"))
        assert rows["uid"].is_unique
        assert rows["uid"].is_monotonic_increasing
        assert rows["picture"].isna().all() if task == "desk_text" else rows["picture"].notna().all()
    rows = table(task_directory, "instructions")
    assert len(rows) == small.instructions.pictures + small.instructions.text
    assert rows["uid"].is_unique
    assert rows["uid"].is_monotonic_increasing
    assert rows["picture"].dropna().is_unique
    image = Image.open(io.BytesIO(rows["picture"].dropna().iloc[0]))
    assert (image.mode, image.size, image.format) == ("RGB", (48, 48), "PNG")


@pytest.mark.parametrize("count", [96, 192, 384])
def test_pope(drawings: pd.DataFrame, concepts: list[str], tmp_path: Path, count: int, small: Tasks) -> None:
    make_tasks(drawings, concepts, replace(small, pope=count), tmp_path)
    rows = table(tmp_path, "desk_pope")
    rows["answer"] = rows["answers"].str[0]
    rows["names"] = [{drawing.partition("/")[0] for drawing in drawings} for drawings in rows["drawings"]]
    assert Counter(zip(rows["category"], rows["answer"], strict=True)) == {
        (split, answer): count // 6 for split in ("random", "popular", "adversarial") for answer in ("yes", "no")
    }
    for row in rows.itertuples():
        assert (row.concept in row.names) == (row.answer == "yes")
    # Whatever is answered to a question, as often right as wrong.
    for _, part in rows.groupby(["category", "question"]):
        assert part["answer"].value_counts()["yes"] == part["answer"].value_counts()["no"]
    pictures = rows.drop_duplicates("picture")
    frequency = Counter(name for names in pictures["names"] for name in names)
    together = Counter(pair for names in pictures["names"] for pair in ((a, b) for a in names for b in names - {a}))
    absent = rows[rows["answer"] == "no"]
    popular = set(absent["concept"][absent["category"] == "popular"])
    assert len(popular) <= len(concepts) // 4 + 1
    assert min(frequency[name] for name in popular) >= max(frequency[name] for name in set(frequency) - popular)
    for row in absent[absent["category"] == "adversarial"].itertuples():
        counts = {
            other: sum(together[shown, other] for shown in row.names) for other in concepts if other not in row.names
        }
        assert counts[row.concept] == max(counts.values()) > 0


def test_vqa_answers_are_spread_evenly(task_directory: Path, concepts: list[str]) -> None:
    rows = table(task_directory, "desk_vqa")
    counts = {name: Counter(part["answers"].str[0]) for name, part in rows.groupby("category")}
    assert {name: sum(answers.values()) for name, answers in counts.items()} == dict.fromkeys(counts, 12)
    assert counts["how many"] == {"one": 4, "two": 4, "three": 4}
    assert set(counts["which colour"]) == set(BACKGROUNDS)
    assert max(counts["which colour"].values()) == 2
    assert set(counts["what"].values()) == set(counts["where"].values()) == {1}
    assert set(counts["what"]) <= set(concepts)
    sides = rows["question"][rows["category"] == "where"]
    assert sorted(Counter(sides).values()) == [6, 6]


def test_answers_are_what_is_shown(task_directory: Path) -> None:
    rows = table(task_directory, "desk_vqa")
    for row in rows.itertuples():
        names = {drawing.partition("/")[0] for drawing in row.drawings}
        assert row.concept in names
        if row.category in ("what", "where"):
            assert row.answers[0] in names
            assert len(names) == (1 if row.category == "what" else 2)


def test_sqa(task_directory: Path, kinds: dict[str, list[str]]) -> None:
    rows = table(task_directory, "desk_sqa")
    kind_of = {name: kind for kind, names in kinds.items() for name in names}
    letters = Counter()
    for row in rows.itertuples():
        assert row.answers[0] == kind_of[row.concept]
        assert sorted(row.choices) == sorted(kinds)
        place = list(row.choices).index(row.answers[0])
        letters[row.answers[0], place] += 1
        assert f"{'ABCD'[place]}. {row.answers[0]}" in row.question
    assert set(letters.values()) == {2}
    assert len(letters) == 16


def test_captions_have_distinct_references(task_directory: Path, small: Tasks) -> None:
    rows = table(task_directory, "desk_caption")
    assert {len(set(answers)) for answers in rows["answers"]} == {small.references + 1}


def test_text(task_directory: Path, drawings: pd.DataFrame) -> None:
    rows = table(task_directory, "desk_text")
    for _, four in rows.groupby(rows["choices"].map(tuple)):
        assert Counter(four["answers"].str[0]) == dict.fromkeys(four["choices"].iloc[0], len(four) // 4)
        assert len({CLASSES[sort][0] for sort in four["choices"].iloc[0]}) == 4
    asked, practised = word_classes(drawings)
    for sort, names in asked.items():
        assert names
        assert practised[sort]
        assert not set(names) & set(practised[sort])
    taught = " ".join(turn["question"] for row in talks(task_directory, "text") for turn in row.turns)
    assert not set(rows["concept"]) & set(re.findall(r"\w+", taught))


@pytest.fixture(scope="module")
def conversations(drawings: pd.DataFrame, concepts: list[str], small: Tasks) -> list[dict]:
    """Three hundred conversations of three turns."""
    return talk(drawings, concepts, small, Mix(pictures=300, turns=3, text=0))


def talk(drawings: pd.DataFrame, concepts: list[str], small: Tasks, mix: Mix) -> list[dict]:
    studio = Studio(drawings, TAUGHT, concepts, small.side)
    return instruction_rows(studio, word_classes(drawings)[1], mix, np.random.default_rng(1))


def names_shown(row: dict) -> set[str]:
    return {drawing.partition("/")[0] for drawing in row["drawings"]}


def test_a_conversation_asks_different_things_in_few_words(conversations: list[dict]) -> None:
    assert {row["task"] for row in conversations} == set(SCENES)
    for row in conversations:
        questions = [turn["question"] for turn in row["turns"]]
        assert len(set(questions)) == len(questions) == 3
        assert max(len(question.split()) for question in questions) <= 20
        assert max(len(turn["answer"].split()) for turn in row["turns"]) <= 16
    wordings = {turn["question"] for row in conversations for turn in row["turns"]}
    assert set(WORDINGS["what"]) | set(WORDINGS["which colour"]) <= wordings


def test_a_conversation_ends_when_nothing_is_left_to_ask(
    drawings: pd.DataFrame, concepts: list[str], small: Tasks
) -> None:
    rows = talk(drawings, concepts, small, Mix(pictures=100, turns=10, text=0))
    counts = {(row["task"], len(row["turns"])) for row in rows}
    # Existence, colour and caption; a pair's two sides; what, which kind and, but for jeans, how many.
    assert counts == {("pair", 5), ("several", 4), ("single", 5), ("single", 6)}
    assert all(len({turn["question"] for turn in row["turns"]}) == len(row["turns"]) for row in rows)


def test_answers_in_conversations_are_what_is_shown(conversations: list[dict], concepts: list[str]) -> None:
    for row in conversations:
        names = names_shown(row)
        assert len(names) == (2 if row["task"] == "pair" else 1)
        for turn in row["turns"]:
            question, answer = turn["question"], turn["answer"]
            if answer in ("yes", "no"):
                (asked,) = (name for name in concepts if re.search(rf"\b{name}\b", question))
                assert (asked in names) == (answer == "yes")
            elif answer in concepts:
                assert answer in names
            elif question.startswith(("How many", "Count")):
                assert (answer == "one") == (row["task"] == "single")
            elif question in WORDINGS["caption"]:
                assert all(re.search(rf"\b{name}", answer) for name in names)


def test_whether_something_is_there_is_asked_once_and_first(conversations: list[dict]) -> None:
    counts: Counter[str] = Counter()
    for row in conversations:
        answers = [turn["answer"] for turn in row["turns"]]
        assert not {"yes", "no"} & set(answers[1:])  # after another answer nobody would have to look
        counts[answers[0]] += 1
    assert counts["yes"] + counts["no"] > 150
    assert abs(counts["yes"] - counts["no"]) < 0.2 * (counts["yes"] + counts["no"])


def test_conversations_show_all_concepts_in_drawings_that_may_be_taught(
    conversations: list[dict], drawings: pd.DataFrame, concepts: list[str]
) -> None:
    assert len(conversations) == len({row["picture"] for row in conversations}) == 300
    splits = drawings.set_index("drawing")["split"]
    assert {splits[drawing] for row in conversations for drawing in row["drawings"]} == {"train"}
    shows = Counter(name for row in conversations for name in names_shown(row))
    assert min(shows[name] for name in concepts) >= 300 // len(concepts)


def test_questions_about_words_have_no_picture(task_directory: Path, small: Tasks) -> None:
    rows = talks(task_directory, "text")
    assert len(rows) == small.instructions.text
    for row in rows:
        assert row.picture is None
        assert len(row.drawings) == 0
        assert len(row.turns) == 1
    assert len({row.turns[0]["question"] for row in rows}) == len(rows)
    pictured = table(task_directory, "instructions").query("task != 'text'")
    assert pictured["picture"].notna().all()
    assert (pictured["drawings"].str.len() > 0).all()


def test_equal_bytes(
    drawings: pd.DataFrame, concepts: list[str], task_directory: Path, tmp_path: Path, small: Tasks
) -> None:
    make_tasks(drawings, concepts, small, tmp_path)
    files = sorted(path.name for path in task_directory.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [
        (task_directory / name).read_bytes() for name in files
    ]
    make_tasks(drawings, concepts, replace(small, caption=20), tmp_path)  # another size leaves the other tables alone
    assert (tmp_path / "desk_vqa.parquet").read_bytes() == (task_directory / "desk_vqa.parquet").read_bytes()
    make_tasks(drawings, concepts, replace(small, seed=4), tmp_path)
    assert (tmp_path / "desk_vqa.parquet").read_bytes() != (task_directory / "desk_vqa.parquet").read_bytes()


def test_levels(drawings: pd.DataFrame, concepts: list[str], tmp_path: Path, small: Tasks) -> None:
    metrics = make_tasks(drawings, concepts, small, tmp_path)
    assert sum(metrics["instructions"].values()) == 40 + 24
    assert metrics["turns"] == 40 * 3 + 24
    levels = metrics["benchmarks"]
    assert levels["desk_pope"] == {"items": 96, "chance": 0.5, "majority": 0.5}
    assert levels["desk_sqa"] == {"items": 32, "chance": 0.25, "majority": 0.25}
    assert levels["desk_text"] == {"items": 24, "chance": 0.25, "majority": 0.25}
    assert levels["desk_vqa"]["majority"] == pytest.approx((1 + 1 + 4 + 2) / 48, abs=1e-4)


def test_definitions() -> None:
    files = definitions()
    assert set(files) == {f"{task}.yaml" for task in TASKS} | {f"{task}_blind.yaml" for task in PICTURED}
    assert all((text.isascii() and "version: 1.0" in text) or "include:" in text for text in files.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pope": 100}, "tasks.pope must be a multiple of 12, got 100"),
        ({"vqa": 6}, "tasks.vqa must be a multiple of 4, got 6"),
        ({"text": 2}, "tasks.text must be from 4 to 1000, got 2"),
        (
            {"instructions": {"pictures": 100, "turns": 11, "text": 100}},
            "tasks.instructions.turns must be from 1 to 10, got 11",
        ),
        (
            {"instructions": {"pictures": 0, "turns": 3, "text": 0}},
            "tasks.instructions.pictures must be from 1 to 1000000, got 0",
        ),
    ],
)
def test_bad_params(tmp_path: Path, change: dict[str, object], message: str) -> None:
    section = {"seed": 0, "side": 64, "references": 5, "caption": 300, "pope": 384, "vqa": 384, "sqa": 304, "text": 300}
    section |= {"instructions": {"pictures": 100, "turns": 3, "text": 100}} | change
    path = tmp_path / "params.yaml"
    YAML().dump({"tasks": section}, path)
    with pytest.raises(ValueError, match=message):
        load_params(Tasks, "tasks", path)


def test_unusable_worlds(
    drawings: pd.DataFrame, concepts: list[str], tmp_path: Path, small: Tasks, kinds: dict[str, list[str]]
) -> None:
    with pytest.raises(ValueError, match="no drawing of split heldout_combination shows zebra"):
        make_tasks(drawings, [*concepts, "zebra"], small, tmp_path)
    with pytest.raises(ValueError, match="of four kinds or more"):
        make_tasks(drawings, [*kinds["object"], *kinds["food or drink"]], small, tmp_path)
    with pytest.raises(ValueError, match="hold too few different pictures of"):
        make_tasks(drawings, concepts, replace(small, side=16, vqa=2400), tmp_path)
    pictured = drawings["kind"] != "face"
    with pytest.raises(ValueError, match="fewer than four groups"):
        make_tasks(drawings[pictured], concepts, small, tmp_path)
    few = drawings["name"].str.fullmatch("(flower|fruit|vehicle|weather)(aa|bb)")
    with pytest.raises(ValueError, match="no 24 different sentences"):
        make_tasks(drawings[pictured | few], concepts, small, tmp_path)


def test_the_stage_needs_no_torch() -> None:
    code = (
        "import sys, stages.tasks; sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_sketch_is_the_scene_that_would_be_composed(
    drawings: pd.DataFrame, concepts: list[str], small: Tasks
) -> None:
    one, other = (Studio(drawings, TAUGHT, concepts, small.side) for _ in range(2))
    for number, name in enumerate(concepts):
        sketched = one.sketch(np.random.default_rng(number), name)
        assert sketched == other.any_scene(np.random.default_rng(number), name)
        assert name in sketched.names
