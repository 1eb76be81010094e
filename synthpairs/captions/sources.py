"""Template captions: scenes of training drawings worded by templates over emoji names; and what a caption is about.

Some are spoilt as the web spoils captions, so that the filters have what they are for.
"""

import io
import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from synthpairs.captions.params import Human
from synthpairs.captions.record import Caption
from synthpairs.emoji.drawings import of_split, picture
from synthpairs.emoji.inflection import inflector
from synthpairs.emoji.scenes import KINDS, draw_scene, is_plural, plural, render_scene
from synthpairs.emoji.wording import word_scene

# Kinds of noise. Three are made otherwise: the name again and again, its keywords, the text of another picture.
NOISE = {
    "adult": ("xxx {name} pics", "nude {name} on a bed"),
    "boilerplate": (
        "Image may contain: {name}",
        "Click the image to enlarge",
        "No photo description available",
        "Thumbnail {number}",
        "Buy {name} online, best price, free shipping!!!",
        "Welcome to our website",
        "Share this on social media",
    ),
    "file_name": ("IMG_{number:04d}.JPG", "DSC{number:05d}.jpg", "{name}-{number}-512x512.png"),
    "html": ('<a href="/item/{number}">{text}</a>', "{text}<br/>", "{text} &raquo; more"),
    "keyword_spam": (),
    "mismatch": (),
    "repeated": (),
}
_SPAM = ["hd", "wallpaper", "free download", "vector", "stock", "clipart", "png", "4k"]


def human_captions(drawings: pd.DataFrame, concepts: list[str], params: Human, seed: int) -> list[Caption]:
    """One template caption for each of `params.pictures` scenes of training drawings, with the scene as its original.

    Picture i depends on the seed and i alone, so asking for more pictures leaves the first ones as they are.
    """
    unknown = sorted(set(params.noise) - set(NOISE)) + sorted(set(params.kinds) - set(KINDS))
    if unknown:
        known = f"noise is one of {', '.join(NOISE)}, a kind of scene one of {', '.join(KINDS)}"
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
    captions = []
    for number in range(params.pictures):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rows, rng, kinds[rng.choice(len(kinds), p=shares / shares.sum())])
        text, noise = word_scene(scene, rng, keywords), _noise(params.noise, rng)
        if noise:
            others = [row for row in rows if row["name"] not in scene.names]
            mismatch = word_scene(draw_scene(others, rng, "single"), rng, keywords)
            text = mismatch if noise == "mismatch" else _spoilt(noise, text, scene.names[0], keywords, number, rng)
        png = io.BytesIO()
        render_scene(scene, pictures, params.side).save(png, "PNG")
        captions.append(
            Caption(
                text=text, source="human", concept=scene.names[0], noise=noise, original=png.getvalue(),
                drawings=tuple(thing.drawing for thing in scene.things),
            )
        )  # fmt: skip
    return captions


def _noise(shares: dict[str, float], rng: np.random.Generator) -> str | None:
    rest = rng.random()
    for kind in sorted(shares):
        rest -= shares[kind]
        if rest < 0:
            return kind
    return None


def _spoilt(
    noise: str, text: str, name: str, keywords: dict[str, list[str]], number: int, rng: np.random.Generator
) -> str:
    if noise == "repeated":
        return " ".join([name] * int(rng.integers(5, 12)))
    if noise == "keyword_spam":
        return ", ".join([name, *keywords.get(name, []), *rng.permutation(_SPAM)[:5].tolist(), name])
    templates = NOISE[noise]
    return templates[rng.integers(len(templates))].format(text=text, name=name, number=number)


def mentioned(text: str, concepts: Sequence[str]) -> str:
    """The first of the concepts that a text names, in its singular or plural; empty when it names none."""
    forms = _forms(tuple(concepts))
    named = [forms[word] for word in re.findall(r"[a-z]+", text.lower()) if word in forms]
    return concepts[min(named)] if named else ""


@cache
def _forms(concepts: tuple[str, ...]) -> dict[str, int]:
    """Each form of each concept, and the index of the first that has it."""
    forms: dict[str, int] = {}
    for index, concept in enumerate(concepts):
        singular = inflector().singular_noun(concept) if is_plural(concept) else concept
        for form in (concept, str(singular), plural(concept)):
            forms.setdefault(form, index)
    return forms
