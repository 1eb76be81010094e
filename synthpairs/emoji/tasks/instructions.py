"""Instruction data in LLaVA's manner: conversations about training drawings, in the benchmarks' formats and many wordings.

All questions about a picture make one conversation, as LLaVA-1.5 joins its question sets: a picture's tokens then pay for
several answers. Answers are short and always of one form, because a small model sees few of them. A kind is answered in
words, not by its letter: measured on SmolLM2-135M with the thing's name in place of its picture, 320 examples teach the words
(0.83 of 64 right), while with letters in shuffled order the loss stays at that of guessing.
"""

import numpy as np

from synthpairs.emoji.scenes import Scene
from synthpairs.emoji.tasks.params import Mix
from synthpairs.emoji.tasks.questions import (
    SIDES,
    Asked,
    ask_caption,
    ask_existence,
    ask_how_many,
    ask_kind,
    ask_what,
    ask_where,
    ask_which_colour,
    four_kinds,
)
from synthpairs.emoji.tasks.studio import Studio, choose, evenly, picture_row, shuffled
from synthpairs.emoji.tasks.words import Words, text_questions

# How likely a question is to be asked, relative to the others about a scene. Names come first: there are as many as concepts,
# and each must be learnt.
WEIGHTS = {
    "what": 3.0, "existence": 3.0, "where": 1.5, "kind": 1.0, "caption": 0.7, "how many": 0.5, "which colour": 0.5,
}  # fmt: skip


def instruction_rows(studio: Studio, words: Words, mix: Mix, rng: np.random.Generator) -> list[dict]:
    """Rows of INSTRUCTIONS, all different, ordered by uid; ValueError when there is not enough to ask."""
    kinds = four_kinds(studio)
    rows = []
    for name in evenly(rng, studio.names, mix.pictures):
        scene = studio.any_scene(rng, name)
        asked = questions_about(scene, name, studio, kinds, mix.turns, rng)
        turns = [(question.worded(rng), question.answer) for question in asked]
        rows.append(_row(scene.kind, turns, studio.png(scene), scene))
    rows += [_row("text", [turn]) for turn in text_questions(words, mix.text, rng)]
    return sorted(rows, key=lambda row: str(row["uid"]))


def _row(task: str, turns: list[tuple[str, str]], picture: bytes | None = None, scene: Scene | None = None) -> dict:
    columns = {"task": task, "turns": [{"question": question, "answer": answer} for question, answer in turns]}
    return picture_row(("instruction", task, turns), columns, picture, scene)


def questions_about(
    scene: Scene, name: str, studio: Studio, kinds: list[str], turns: int, rng: np.random.Generator
) -> list[Asked]:
    """Up to `turns` different questions about a scene, drawn by WEIGHTS; half of the absent concepts are of the same kind.

    At most one asks whether something is there, with yes as often as with no, and it comes first: once the thing is named, or
    another is denied, the conversation itself gives the answer, and nobody looks at the picture.
    """
    absent = [other for other in studio.names if other not in scene.names]
    alike = [other for other in absent if studio.kinds[other] == studio.kinds[name]]
    missing = choose(rng, alike if alike and rng.random() < 0.5 else absent)
    asked = [ask_existence(scene, choose(rng, scene.names) if rng.random() < 0.5 else missing)]
    asked += [ask_which_colour(scene, name), ask_caption(scene)]
    if scene.kind == "single":
        asked.append(ask_what(scene))
        if studio.kinds[name] in kinds:
            asked.append(ask_kind(scene, studio.kinds[name], shuffled(rng, kinds)))
    if scene.kind == "pair":
        asked += [ask_where(scene, side) for side in SIDES]
    elif name in studio.countable:
        asked.append(ask_how_many(scene))
    weights = np.array([WEIGHTS[question.category] for question in asked])
    places = rng.choice(len(asked), size=min(turns, len(asked)), replace=False, p=weights / weights.sum())
    return sorted((asked[place] for place in places), key=lambda question: question.category != "existence")
