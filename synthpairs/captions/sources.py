"""Template captions: scenes of training drawings worded by templates over emoji names; and what a caption is about."""

import io
import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from synthpairs.artwork.drawings import of_split, picture
from synthpairs.artwork.scenes import KINDS, draw_scene, is_plural, plural, render_scene
from synthpairs.artwork.wording import word_scene
from synthpairs.captions.noise import SPOILERS, Spoilt
from synthpairs.captions.params import Human
from synthpairs.captions.record import Caption
from synthpairs.nouns import inflector


def human_captions(drawings: pd.DataFrame, concepts: list[str], params: Human, seed: int) -> list[Caption]:
    """One template caption for each of `params.pictures` scenes of training drawings, with the scene as its original.

    Picture i depends on the seed and i alone, so asking for more pictures leaves the first ones as they are.
    """
    unknown = sorted(set(params.noise) - set(SPOILERS)) + sorted(set(params.kinds) - set(KINDS))
    if unknown:
        known = f"noise is one of {', '.join(SPOILERS)}, a kind of scene one of {', '.join(KINDS)}"
        raise ValueError(f"params.yaml: captions.human: {unknown[0]!r} is not known; {known}")
    if sum(params.noise.values()) > 1 or not sum(params.kinds.values()):
        raise ValueError("params.yaml: captions.human: noise must add up to at most 1, kinds to more than 0")
    rows = list(of_split(drawings, "train", concepts))
    if not rows:
        raise ValueError(f"data/art/drawings.parquet has no training drawing of {', '.join(concepts[:5])} ...")
    pictures = {row["drawing"]: picture(row["png"]) for row in rows}
    keywords = {row["name"]: list(row["keywords"]) for row in rows}
    kinds = [kind for kind in KINDS if params.kinds.get(kind)]
    shares = np.array([params.kinds[kind] for kind in kinds])
    made = []
    for number in range(params.pictures):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rows, rng, kinds[rng.choice(len(kinds), p=shares / shares.sum())])
        text, noise = word_scene(scene, rng, keywords), _noise(params.noise, rng)
        if noise:
            other = draw_scene([row for row in rows if row["name"] not in scene.names], rng, "single")
            spoilt = Spoilt(text, scene.names[0], keywords, word_scene(other, rng, keywords), number)
            text = SPOILERS[noise](spoilt, rng)
        png = io.BytesIO()
        render_scene(scene, pictures, params.side).save(png, "PNG")
        drawn = tuple(thing.drawing for thing in scene.things)
        made.append(
            Caption(
                text=text, source="human", concept=scene.names[0], drawings=drawn, original=png.getvalue(), noise=noise
            )
        )
    return made


def _noise(shares: dict[str, float], rng: np.random.Generator) -> str | None:
    place = rng.random()
    for kind in sorted(shares):
        place -= shares[kind]
        if place < 0:
            return kind
    return None


def mentioned(text: str, concepts: Sequence[str]) -> str:
    """The first of the concepts that a text names, in its singular or plural; empty when it names none."""
    places = _places(tuple(concepts))
    named = [places[word] for word in re.findall(r"[a-z]+", text.lower()) if word in places]
    return concepts[min(named)] if named else ""


@cache
def _places(concepts: tuple[str, ...]) -> dict[str, int]:
    """Each form of each concept, and where the first that has it stands."""
    places: dict[str, int] = {}
    for place, concept in enumerate(concepts):
        singular = inflector().singular_noun(concept) if is_plural(concept) else concept
        for form in (concept, str(singular), plural(concept)):
            places.setdefault(form, place)
    return places
