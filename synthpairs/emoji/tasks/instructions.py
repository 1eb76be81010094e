"""Instruction tuning data in LLaVA's manner: conversations about training drawings, in the benchmarks' formats.

All questions about an image form one conversation, as LLaVA-1.5 joins its question sets, so that several answers share an
image's tokens. Answers are short and uniform, because a small model sees few of them. A kind is answered in words, not by
its letter: measured on SmolLM2-135M with the object's name in place of its image, 320 examples teach the words (0.83 of 64
right), while with letters in shuffled order the loss stays at chance.
"""

from typing import Any

import numpy as np

from synthpairs.emoji.scenes import Scene
from synthpairs.emoji.tasks import questions
from synthpairs.emoji.tasks.composer import SceneComposer, choose, evenly, shuffled
from synthpairs.emoji.tasks.items import task_row
from synthpairs.emoji.tasks.params import Mix
from synthpairs.emoji.tasks.questions import Question, four_kinds
from synthpairs.emoji.tasks.words import Words, text_questions

# Relative probability that a question about a scene is asked. Names come first, because each concept's must be learnt.
WEIGHTS = {
    "what": 3.0, "existence": 3.0, "where": 1.5, "kind": 1.0, "caption": 0.7, "how many": 0.5, "which colour": 0.5,
}  # fmt: skip


def instruction_rows(composer: SceneComposer, words: Words, mix: Mix, rng: np.random.Generator) -> list[dict]:
    """Rows of INSTRUCTIONS, all different, ordered by uid. ValueError when there are too few scenes or questions."""
    kinds = four_kinds(composer)
    rows = []
    for name in evenly(rng, composer.names, mix.pictures):
        scene = composer.any_scene(rng, name)
        chosen = questions_about(scene, name, composer, kinds, mix.turns, rng)
        turns = [(question.worded(rng), question.answer) for question in chosen]
        rows.append(_row(scene.kind, turns, composer, scene))
    rows += [_row("text", [turn]) for turn in text_questions(words, mix.text, rng)]
    return sorted(rows, key=lambda row: str(row["uid"]))


def _row(
    task: str, turns: list[tuple[str, str]], composer: SceneComposer | None = None, scene: Scene | None = None
) -> dict[str, Any]:
    columns = {"task": task, "turns": [{"question": question, "answer": answer} for question, answer in turns]}
    return task_row(("instruction", task, turns), columns, composer, scene)


def questions_about(
    scene: Scene, name: str, composer: SceneComposer, kinds: list[str], turns: int, rng: np.random.Generator
) -> list[Question]:
    """Up to `turns` different questions about a scene, drawn by WEIGHTS; half of the absent concepts are of the same kind.

    At most one is about existence, answered yes or no with equal probability, and it comes first: after a question that
    names or excludes an object, it could be answered without the image.
    """
    absent = [other for other in composer.names if other not in scene.names]
    same_kind = [other for other in absent if composer.kinds[other] == composer.kinds[name]]
    absent_name = choose(rng, same_kind if same_kind and rng.random() < 0.5 else absent)
    candidates = [questions.ask_existence(scene, choose(rng, scene.names) if rng.random() < 0.5 else absent_name)]
    candidates += [questions.ask_which_colour(scene, name), questions.ask_caption(scene)]
    if scene.kind == "single":
        candidates.append(questions.ask_what(scene))
        if composer.kinds[name] in kinds:
            candidates.append(questions.ask_kind(scene, composer.kinds[name], shuffled(rng, kinds)))
    if scene.kind == "pair":
        candidates += [questions.ask_where(scene, side) for side in questions.SIDES]
    elif name in composer.countable:
        candidates.append(questions.ask_how_many(scene))
    weights = np.array([WEIGHTS[question.category] for question in candidates])
    indices = rng.choice(len(candidates), size=min(turns, len(candidates)), replace=False, p=weights / weights.sum())
    return sorted((candidates[index] for index in indices), key=lambda question: question.category != "existence")
