"""Benchmark items: an image of held-out drawings, a question, and the accepted answers. Answers are evenly distributed."""

import numpy as np

from synthpairs.emoji.scenes import BACKGROUNDS, NUMBERS, Scene, describe
from synthpairs.emoji.tasks import questions
from synthpairs.emoji.tasks.definitions import LETTERS
from synthpairs.emoji.tasks.questions import SIDES, WORDINGS, Asked, four_kinds
from synthpairs.emoji.tasks.studio import Studio, choose, evenly, picture_row, shuffled
from synthpairs.emoji.wording import word_scene

TRIES = 1000  # attempts at a scene's distinct wordings


def item(
    task: str,
    question: str,
    answers: list[str],
    category: str,
    concept: str,
    picture: bytes | None = None,
    scene: Scene | None = None,
    choices: list[str] | None = None,
) -> dict:
    """One row of BENCHMARK; its uid is a digest of task, question, answers, choices and image."""
    columns = {"question": question, "answers": answers, "choices": choices, "category": category, "concept": concept}
    return picture_row((task, question, answers, sorted(choices or [])), columns, picture, scene)


def asked_item(task: str, asked: Asked, studio: Studio, category: str, choices: list[str] | None = None) -> dict:
    """One row of BENCHMARK from a question in its first wording."""
    picture = studio.png(asked.scene)
    return item(task, asked.worded(), [asked.answer], category, asked.concept, picture, asked.scene, choices)


def caption_items(studio: Studio, count: int, references: int, rng: np.random.Generator) -> list[dict]:
    """`desk_caption`: each image with its plain caption and `references` other wordings; category is the scene kind."""
    rows = []
    for name in evenly(rng, studio.names, count):
        scene = studio.any_scene(rng, name)
        # Without keywords: they are associations (`fire`: hot, lit), which an image need not show.
        wordings = {describe(scene): None}
        for _ in range(TRIES):
            if len(wordings) > references:
                break
            wordings[word_scene(scene, rng, {})] = None
        else:
            raise ValueError(f"params.yaml: tasks.references: a scene has no {references} wordings; ask for fewer")
        question = WORDINGS["caption"][0]
        rows.append(item("desk_caption", question, [*wordings], scene.kind, name, studio.png(scene), scene))
    return rows


def vqa_items(studio: Studio, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_vqa`: questions of four categories in equal parts: what, where, how many, which colour."""
    quarter = count // 4
    asked = [questions.ask_what(studio.compose(rng, "single", name)) for name in evenly(rng, studio.names, quarter)]
    sides = evenly(rng, SIDES, quarter)
    for name, side in zip(evenly(rng, studio.names, quarter), sides, strict=True):
        asked.append(questions.ask_where(_pair(studio, rng, name, side), side))
    counts = evenly(rng, list(NUMBERS), quarter)
    for name, number in zip(evenly(rng, studio.countable, quarter), counts, strict=True):
        kind = "single" if number == 1 else "several"
        asked.append(questions.ask_how_many(studio.compose(rng, kind, name, count=number)))
    colours = evenly(rng, list(BACKGROUNDS), quarter)
    for name, colour in zip(evenly(rng, studio.names, quarter), colours, strict=True):
        kind = choose(rng, ("single", "pair"))
        others = [studio.other(rng, name)] if kind == "pair" else []
        asked.append(questions.ask_which_colour(studio.compose(rng, kind, name, *others, background=colour), name))
    return [asked_item("desk_vqa", question, studio, question.category) for question in asked]


def _pair(studio: Studio, rng: np.random.Generator, name: str, side: str) -> Scene:
    """A pair with the concept on the given side."""
    while True:
        scene = studio.compose(rng, "pair", name, studio.other(rng, name))
        if scene.things[SIDES.index(side)].name == name:
            return scene


def sqa_items(studio: Studio, count: int, rng: np.random.Generator) -> list[dict]:
    """`desk_sqa`: choice of one of four kinds; each kind is equally often right under each letter. Category is the kind."""
    kinds = four_kinds(studio)
    answers = evenly(rng, [(kind, index) for kind in kinds for index in range(len(LETTERS))], count)
    names = {}
    for kind in kinds:
        of_kind = [name for name in studio.names if studio.kinds[name] == kind]
        names[kind] = iter(evenly(rng, of_kind, count))
    rows = []
    for kind, index in answers:
        options = shuffled(rng, [other for other in kinds if other != kind])
        options.insert(index, kind)
        asked = questions.ask_kind(studio.compose(rng, "single", next(names[kind])), kind, options)
        rows.append(asked_item("desk_sqa", asked, studio, kind, options))
    return rows
