"""Instruction data in LLaVA's manner: the benchmarks' formats in many wordings, about training drawings only.

Answers are short and always of one form, because a small model sees few of them. A kind is answered in words, not by its
letter: measured on SmolLM2-135M with the thing's name in place of its picture, 320 examples teach the words (0.83 of 64 right),
while with letters in shuffled order the loss stays at that of guessing.
"""

import hashlib

import numpy as np

from synthpairs.artwork.scenes import BACKGROUNDS, NUMBERS, Scene, describe
from synthpairs.benchmarks.params import Mix
from synthpairs.benchmarks.questions import (
    WORDINGS,
    Asked,
    ask_existence,
    ask_how_many,
    ask_kind,
    ask_what,
    ask_where,
    ask_which_colour,
    four_kinds,
    shuffled,
)
from synthpairs.benchmarks.studio import Studio, choose, evenly
from synthpairs.benchmarks.words import Words, text_questions
from synthpairs.schema import digest

# What and where have as many answers as there are concepts, so they get twice the rows.
CATEGORIES = ("what", "where", "how many", "what", "where", "which colour")


def instruction_rows(studio: Studio, words: Words, mix: Mix, rng: np.random.Generator) -> list[dict]:
    """Rows of INSTRUCTIONS, all different, ordered by uid; ValueError when a format has not enough to ask."""
    rows = [
        *_captions(studio, mix.caption, rng),
        *(_row("pope", asked, studio, rng) for asked in _existence(studio, mix.pope, rng)),
        *(_row("vqa", asked, studio, rng) for asked in _vqa(studio, mix.vqa, rng)),
        *(_row("sqa", asked, studio, rng) for asked in _kinds(studio, mix.sqa, rng)),
        *(_plain("text", question, answer) for question, answer in text_questions(words, mix.text, rng)),
    ]
    return sorted(rows, key=lambda row: str(row["uid"]))


def _plain(task: str, question: str, answer: str, picture: bytes | None = None, scene: Scene | None = None) -> dict:
    shown = hashlib.sha256(picture).hexdigest() if picture else None
    return {
        "uid": digest("instruction", task, question, answer, shown),
        "task": task,
        "question": question,
        "answer": answer,
        "picture": picture,
        "drawings": sorted({thing.drawing for thing in scene.things}) if scene else [],
    }


def _row(task: str, asked: Asked, studio: Studio, rng: np.random.Generator) -> dict:
    return _plain(task, asked.worded(rng), asked.answer, studio.png(asked.scene), asked.scene)


def _captions(studio: Studio, count: int, rng: np.random.Generator) -> list[dict]:
    rows = []
    for name in evenly(rng, studio.names, count):
        scene = studio.any_scene(rng, name)
        rows.append(_plain("caption", choose(rng, WORDINGS["caption"]), describe(scene), studio.png(scene), scene))
    return rows


def _existence(studio: Studio, count: int, rng: np.random.Generator) -> list[Asked]:
    """Half yes; half of the absent concepts are of a kind with what is shown."""
    asked = []
    for place, name in enumerate(evenly(rng, studio.names, count)):
        scene = studio.any_scene(rng, name)
        if place % 2:
            absent = [other for other in studio.names if other not in scene.names]
            alike = [other for other in absent if studio.kinds[other] == studio.kinds[name]]
            name = choose(rng, alike or absent) if place % 4 == 1 else choose(rng, absent)
        asked.append(ask_existence(scene, name))
    return asked


def _vqa(studio: Studio, count: int, rng: np.random.Generator) -> list[Asked]:
    asked = []
    categories = [CATEGORIES[place % len(CATEGORIES)] for place in range(count)]
    for category, name, thing in zip(
        categories, evenly(rng, studio.names, count), evenly(rng, studio.countable, count), strict=True
    ):
        if category == "what":
            asked.append(ask_what(studio, rng, name))
        elif category == "where":
            asked.append(ask_where(studio, rng, name, choose(rng, ("left", "right"))))
        elif category == "how many":
            asked.append(ask_how_many(studio, rng, thing, choose(rng, list(NUMBERS))))
        else:
            asked.append(ask_which_colour(studio, rng, name, choose(rng, list(BACKGROUNDS))))
    return asked


def _kinds(studio: Studio, count: int, rng: np.random.Generator) -> list[Asked]:
    kinds = four_kinds(studio)
    by_kind = {kind: [name for name in studio.names if studio.kinds[name] == kind] for kind in kinds}
    return [
        ask_kind(studio, rng, choose(rng, by_kind[kind]), shuffled(rng, kinds)) for kind in evenly(rng, kinds, count)
    ]
