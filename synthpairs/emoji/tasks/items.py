"""Benchmark items: an image of held-out drawings, a question, and the accepted answers. Answers are evenly distributed."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from synthpairs.core.schema import digest
from synthpairs.emoji.scenes import BACKGROUNDS, NUMBERS, Scene, describe
from synthpairs.emoji.tasks import questions
from synthpairs.emoji.tasks.composer import SceneComposer, choose, evenly, shuffled
from synthpairs.emoji.tasks.definitions import LETTERS
from synthpairs.emoji.tasks.questions import SIDES, WORDINGS, Question, four_kinds
from synthpairs.emoji.wording import random_caption

TRIES = 1000  # attempts at a scene's distinct wordings


def task_row(
    identity: Sequence[Any], columns: dict[str, Any], composer: SceneComposer | None = None, scene: Scene | None = None
) -> dict[str, Any]:
    """A row of BENCHMARK or INSTRUCTIONS: `columns`, the scene's image and drawings, and a uid digesting `identity` and image."""
    image = composer.png(scene) if composer and scene else None
    uid = digest(*identity, hashlib.sha256(image).hexdigest() if image else None)
    drawings = sorted({thing.drawing for thing in scene.things}) if scene else []
    return {"uid": uid, **columns, "picture": image, "drawings": drawings}


def item(
    task: str,
    question: str,
    answers: list[str],
    category: str,
    concept: str,
    choices: list[str] | None = None,
    composer: SceneComposer | None = None,
    scene: Scene | None = None,
) -> dict[str, Any]:
    """One row of BENCHMARK; its uid is a digest of task, question, answers, choices and image."""
    columns = {"question": question, "answers": answers, "choices": choices, "category": category, "concept": concept}
    return task_row((task, question, answers, sorted(choices or [])), columns, composer, scene)


def question_item(
    task: str, question: Question, composer: SceneComposer, category: str, choices: list[str] | None = None
) -> dict:
    """One row of BENCHMARK from a question in its first wording."""
    answers, concept = [question.answer], question.concept
    return item(task, question.worded(), answers, category, concept, choices, composer, question.scene)


def caption_items(composer: SceneComposer, count: int, references: int, rng: np.random.Generator) -> list[dict]:
    """`desk_caption`: each image with its plain caption and `references` other wordings; category is the scene kind."""
    rows = []
    for name in evenly(rng, composer.names, count):
        scene = composer.any_scene(rng, name)
        # Without keywords: they are associations (`fire`: hot, lit), which an image need not show.
        wordings = {describe(scene): None}
        for _ in range(TRIES):
            if len(wordings) > references:
                break
            wordings[random_caption(scene, rng, {})] = None
        else:
            raise ValueError(f"params.yaml: tasks.references: a scene has no {references} wordings; ask for fewer")
        question = WORDINGS["caption"][0]
        rows.append(item("desk_caption", question, [*wordings], scene.kind, name, composer=composer, scene=scene))
    return rows


def vqa_items(composer: SceneComposer, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_vqa`: questions of four categories in equal parts: what, where, how many, which colour."""
    quarter = count // 4
    vqa = [questions.ask_what(composer.compose(rng, "single", name)) for name in evenly(rng, composer.names, quarter)]
    sides = evenly(rng, SIDES, quarter)
    for name, side in zip(evenly(rng, composer.names, quarter), sides, strict=True):
        vqa.append(questions.ask_where(_pair(composer, rng, name, side), side))
    counts = evenly(rng, list(NUMBERS), quarter)
    for name, number in zip(evenly(rng, composer.countable, quarter), counts, strict=True):
        kind = "single" if number == 1 else "several"
        vqa.append(questions.ask_how_many(composer.compose(rng, kind, name, count=number)))
    colours = evenly(rng, list(BACKGROUNDS), quarter)
    for name, colour in zip(evenly(rng, composer.names, quarter), colours, strict=True):
        kind = choose(rng, ("single", "pair"))
        others = [composer.other(rng, name)] if kind == "pair" else []
        vqa.append(questions.ask_which_colour(composer.compose(rng, kind, name, *others, background=colour), name))
    return [question_item("desk_vqa", question, composer, question.category) for question in vqa]


def _pair(composer: SceneComposer, rng: np.random.Generator, name: str, side: str) -> Scene:
    """A pair with the concept on the given side."""
    while True:
        scene = composer.compose(rng, "pair", name, composer.other(rng, name))
        if scene.things[SIDES.index(side)].name == name:
            return scene


def sqa_items(composer: SceneComposer, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_sqa`: choice of one of four kinds; each kind is equally often right under each letter. Category is the kind."""
    kinds = four_kinds(composer)
    answers = evenly(rng, [(kind, index) for kind in kinds for index in range(len(LETTERS))], count)
    names = {}
    for kind in kinds:
        of_kind = [name for name in composer.names if composer.kinds[name] == kind]
        names[kind] = iter(evenly(rng, of_kind, count))
    rows = []
    for kind, index in answers:
        options = shuffled(rng, [other for other in kinds if other != kind])
        options.insert(index, kind)
        question = questions.ask_kind(composer.compose(rng, "single", next(names[kind])), kind, options)
        rows.append(question_item("desk_sqa", question, composer, kind, options))
    return rows
