"""Benchmarks and instruction tuning data of a small emoji world: right answers, even distributions, no leaked drawings."""

import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthpairs.emoji import scenes
from synthpairs.emoji.tasks.composer import SceneComposer
from synthpairs.emoji.tasks.definitions import PICTURED, TASKS
from synthpairs.emoji.tasks.instructions import instruction_rows
from synthpairs.emoji.tasks.make import INSTRUCTION_SPLIT, check_split, make_tasks
from synthpairs.emoji.tasks.params import Mix
from synthpairs.emoji.tasks.questions import WORDINGS
from synthpairs.emoji.tasks.words import CLASSES, word_classes
from synthpairs.evaluation.benchmarks.scoring import option, short_answer, yes_or_no
from tests.evaluation.benchmarks.conftest import KINDS, SMALL


def table(directory, task):
    """A table, with lists in its list columns and the names of the concepts shown as `names`."""
    rows = pd.read_parquet(directory / f"{task}.parquet")
    for name in {"answers", "choices", "drawings", "turns"} & set(rows):
        rows[name] = [None if cell is None else list(cell) for cell in rows[name]]
    return rows.assign(names=rows["drawings"].map(concepts_of))


def concepts_of(drawings):
    return {drawing.partition("/")[0] for drawing in drawings}


@pytest.fixture
def make(drawings, concepts, tmp_path):
    """Writes the small world's tasks, with changed params, to the test's directory."""
    return lambda table=drawings, names=concepts, **changed: make_tasks(
        table, table, names, replace(SMALL, **changed), tmp_path
    )


def test_benchmarks_and_instructions_use_different_splits(task_directory, drawings):
    splits = drawings.set_index("drawing")["split"]
    for task in (*TASKS, "instructions"):
        shown = table(task_directory, task)["drawings"].explode().dropna()
        assert set(splits[shown]) <= {"train" if task == "instructions" else "heldout_combination"}
    held_out = drawings.loc[drawings["split"] == "heldout_combination", "drawing"]
    with pytest.raises(AssertionError, match="not of split train"):
        check_split("x", [{"uid": "1", "drawings": [held_out.iloc[0]]}], drawings, "train")


def test_the_stage_imports_no_torch():
    code = "import sys, stages.tasks; sys.exit(bool({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_sizes_images_definitions_and_scores_of_right_answers(task_directory):
    sizes = {task: getattr(SMALL, task.removeprefix("desk_")) for task in TASKS} | {"instructions": 40 + 24}
    for task, size in sizes.items():
        rows = table(task_directory, task)
        assert len(rows) == size
        assert rows["uid"].is_unique
        assert rows["uid"].is_monotonic_increasing
        text = rows["task"] == "text" if task == "instructions" else pd.Series(task == "desk_text", rows.index)
        assert (rows["picture"].isna() == text).all()
        assert ((rows["drawings"].str.len() == 0) == text).all()
    image = Image.open(io.BytesIO(rows["picture"].dropna().iloc[0]))
    assert (image.mode, image.size, image.format) == ("RGB", (48, 48), "PNG")
    assert {len(set(answers)) for answers in table(task_directory, "desk_caption")["answers"]} == {SMALL.references + 1}
    for task, score in (("desk_pope", yes_or_no), ("desk_vqa", short_answer), ("desk_sqa", option)):
        for row in table(task_directory, task).to_dict("records"):
            assert score(row, [row["answers"][0]]) == {"accuracy": 1.0}
    written = {path.stem for path in task_directory.glob("*.yaml")}
    assert written == {*TASKS, *(f"{task}_blind" for task in PICTURED)}


@pytest.mark.parametrize("count", [96, 192, 384])
def test_pope(make, concepts, tmp_path, count):
    make(pope=count)
    rows = table(tmp_path, "desk_pope")
    rows["answer"] = rows["answers"].str[0]
    assert Counter(zip(rows["category"], rows["answer"], strict=True)) == {
        (split, answer): count // 6 for split in ("random", "popular", "adversarial") for answer in ("yes", "no")
    }
    for row in rows.itertuples():
        assert (row.concept in row.names) == (row.answer == "yes")
    # Each question is answered yes and no equally often.
    for _, part in rows.groupby(["category", "question"]):
        assert part["answer"].value_counts()["yes"] == part["answer"].value_counts()["no"]
    pictures = rows.drop_duplicates("picture")["names"]
    frequency = Counter(name for names in pictures for name in names)
    together = Counter((a, b) for names in pictures for a in names for b in names - {a})
    absent = rows[rows["answer"] == "no"]
    popular = set(absent["concept"][absent["category"] == "popular"])
    assert len(popular) <= len(concepts) // 4 + 1
    assert min(frequency[name] for name in popular) >= max(frequency[name] for name in set(frequency) - popular)
    for row in absent[absent["category"] == "adversarial"].itertuples():
        counts = {name: sum(together[shown, name] for shown in row.names) for name in set(concepts) - row.names}
        assert counts[row.concept] == max(counts.values()) > 0


def test_vqa_answers_are_right_and_spread_evenly(task_directory, concepts):
    rows = table(task_directory, "desk_vqa")
    counts = {name: Counter(part["answers"].str[0]) for name, part in rows.groupby("category")}
    assert {name: answers.total() for name, answers in counts.items()} == dict.fromkeys(counts, 12)
    assert counts["how many"] == {"one": 4, "two": 4, "three": 4}
    assert set(counts["which colour"]) == set(scenes.BACKGROUNDS)
    assert max(counts["which colour"].values()) == 2
    assert set(counts["what"].values()) == set(counts["where"].values()) == {1}
    assert set(counts["what"]) <= set(concepts)
    assert sorted(Counter(rows["question"][rows["category"] == "where"]).values()) == [6, 6]
    for row in rows.itertuples():
        assert row.concept in row.names
        if row.category in ("what", "where"):
            assert row.answers[0] in row.names
            assert len(row.names) == (1 if row.category == "what" else 2)


def test_sqa(task_directory):
    kind_of = {name: kind for kind, names in KINDS.items() for name in names}
    letters = Counter()
    for row in table(task_directory, "desk_sqa").itertuples():
        (answer,) = row.answers
        assert answer == kind_of[row.concept]
        assert sorted(row.choices) == sorted(KINDS)
        index = row.choices.index(answer)
        letters[answer, index] += 1
        assert f"{'ABCD'[index]}. {answer}" in row.question
    assert list(letters.values()) == [2] * 16


def test_text(task_directory, drawings):
    rows = table(task_directory, "desk_text")
    for choices, four in rows.groupby(rows["choices"].map(tuple)):
        assert Counter(four["answers"].str[0]) == dict.fromkeys(choices, len(four) // 4)
        assert len({CLASSES[sort][0] for sort in choices}) == 4
    benchmark, instructions = word_classes(drawings)
    for sort, names in benchmark.items():
        assert names
        assert instructions[sort]
        assert not set(names) & set(instructions[sort])
    turns = table(task_directory, "instructions").query("task == 'text'")["turns"]
    assert set(turns.str.len()) == {1}
    questions = {turn["question"] for (turn,) in turns}
    assert len(questions) == SMALL.instructions.text
    assert not set(rows["concept"]) & set(re.findall(r"\w+", " ".join(questions)))


def conversations_of(drawings, concepts, count, turns):
    composer, mix = (
        SceneComposer(drawings, INSTRUCTION_SPLIT, concepts, SMALL.image_size),
        Mix(pictures=count, turns=turns, text=0),
    )
    return instruction_rows(composer, word_classes(drawings)[1], mix, np.random.default_rng(1))


@pytest.fixture(scope="module")
def conversations(drawings, concepts):
    """Three hundred conversations of three turns."""
    return conversations_of(drawings, concepts, 300, 3)


def test_conversations_have_different_short_questions(conversations, drawings, concepts):
    assert {row["task"] for row in conversations} == set(scenes.KINDS)
    assert len({row["picture"] for row in conversations}) == 300
    for row in conversations:
        questions = [turn["question"] for turn in row["turns"]]
        assert len(set(questions)) == len(questions) == 3
        assert max(len(question.split()) for question in questions) <= 20
        assert max(len(turn["answer"].split()) for turn in row["turns"]) <= 16
    wordings = {turn["question"] for row in conversations for turn in row["turns"]}
    assert set(WORDINGS["what"]) | set(WORDINGS["which colour"]) <= wordings
    counts = Counter(name for row in conversations for name in concepts_of(row["drawings"]))
    assert min(counts[name] for name in concepts) >= 300 // len(concepts)
    rows = conversations_of(drawings, concepts, 100, 10)  # as many turns as a scene has questions:
    # existence, colour and caption; for a pair both sides; for a single what, kind and, except for jeans, how many
    counts = {(row["task"], len(row["turns"])) for row in rows}
    assert counts == {("pair", 5), ("several", 4), ("single", 5), ("single", 6)}
    assert all(len({turn["question"] for turn in row["turns"]}) == len(row["turns"]) for row in rows)


def test_answers_in_conversations_are_right(conversations, concepts):
    counts = Counter()
    for row in conversations:
        names = concepts_of(row["drawings"])
        assert len(names) == (2 if row["task"] == "pair" else 1)
        for index, turn in enumerate(row["turns"]):
            question, answer = turn["question"], turn["answer"]
            if answer in ("yes", "no"):
                assert index == 0  # another answer before it could give it away
                counts[answer] += 1
                (asked,) = (name for name in concepts if re.search(rf"\b{name}\b", question))
                assert (asked in names) == (answer == "yes")
            elif answer in concepts:
                assert answer in names
            elif question.startswith(("How many", "Count")):
                assert (answer == "one") == (row["task"] == "single")
            elif question in WORDINGS["caption"]:
                assert all(re.search(rf"\b{name}", answer) for name in names)
    assert counts.total() > 150
    assert abs(counts["yes"] - counts["no"]) < 0.2 * counts.total()


def test_output_is_deterministic_and_tables_are_independent(make, task_directory, tmp_path):
    def contents(directory):
        return {path.name: path.read_bytes() for path in directory.iterdir()}

    metrics, before = make(), contents(task_directory)
    assert contents(tmp_path) == before
    assert sum(metrics["instructions"].values()) == 40 + 24
    assert metrics["turns"] == 40 * 3 + 24
    levels = metrics["benchmarks"]
    assert levels["desk_pope"] == {"items": 96, "chance": 0.5, "majority": 0.5}
    assert levels["desk_sqa"] == {"items": 32, "chance": 0.25, "majority": 0.25}
    assert levels["desk_text"] == {"items": 24, "chance": 0.25, "majority": 0.25}
    assert levels["desk_vqa"]["majority"] == pytest.approx((1 + 1 + 4 + 2) / 48, abs=1e-4)
    make(caption=20)  # the size of one table does not affect the others
    assert {name for name, content in contents(tmp_path).items() if content != before[name]} == {"desk_caption.parquet"}
    make(seed=4)
    assert contents(tmp_path)["desk_vqa.parquet"] != before["desk_vqa.parquet"]


def test_unusable_params_and_drawings(make, drawings, concepts):
    pictured = drawings["kind"] != "face"
    few = drawings["name"].str.fullmatch("(flower|fruit|vehicle|weather)(aa|bb)")
    for changed, message in (
        ({"pope": 100}, r"tasks\.pope must be a multiple of 12, got 100"),
        ({"names": [*concepts, "zebra"]}, "no drawing of split heldout_combination shows zebra"),
        ({"names": [*KINDS["object"], *KINDS["food or drink"]]}, "of four kinds or more"),
        ({"image_size": 16, "vqa": 2400}, "hold too few different pictures of"),
        ({"table": drawings[pictured]}, "fewer than four groups"),
        ({"table": drawings[pictured | few]}, "no 24 different sentences"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**changed)


def test_a_sketch_is_the_scene_that_any_scene_composes(drawings, concepts):
    one, other = (SceneComposer(drawings, INSTRUCTION_SPLIT, concepts, SMALL.image_size) for _ in range(2))
    for number, name in enumerate(concepts):
        sketch = one.sketch(np.random.default_rng(number), name)
        assert sketch == other.any_scene(np.random.default_rng(number), name)
        assert name in sketch.names
