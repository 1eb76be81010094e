"""Captions from people: scenes of training drawings described in words, and files of captions from elsewhere."""

import io
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import inflect
import numpy as np
import pandas as pd

from synthpairs.artwork.drawings import of_split, picture
from synthpairs.artwork.scenes import KINDS, draw_scene, is_plural, plural, render_scene
from synthpairs.artwork.wording import word_scene
from synthpairs.captions.noise import SPOILERS, Spoilt
from synthpairs.captions.params import Human
from synthpairs.captions.record import Caption


def human_captions(drawings: pd.DataFrame, concepts: list[str], params: Human, seed: int) -> list[Caption]:
    """One caption for each of `params.pictures` scenes, drawn from training drawings, with the scene as its original.

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
                text=text,
                source="human",
                concept=scene.names[0],
                drawings=drawn,
                original=png.getvalue(),
                noise=noise,
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


def read_raw(path: Path, concepts: Sequence[str]) -> list[Caption]:
    """Captions of a JSONL file, one object with `text` and maybe `source` per line.

    A line that is no such object becomes a caption that is already rejected (`unreadable`); blank lines do not count.
    Bytes that are not UTF-8 become replacement characters, which the first filter rejects.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: params.yaml: captions.extra must name a JSONL file, or be null")
    captions = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            captions.append(_parse(line.decode("utf-8", "replace"), f"{path.name} line {number}", concepts))
    return captions


def _parse(line: str, where: str, concepts: Sequence[str]) -> Caption:
    try:
        entry = json.loads(line)
        text, source = entry["text"], entry.get("source", "extra")
        if not isinstance(text, str) or not isinstance(source, str):
            raise TypeError("text and source must be strings")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        caption = Caption(text=_storable(line), source="extra", concept="")
        caption.reject("unreadable", f"{where}: {type(error).__name__}: {error}")
        return caption
    return Caption(text=_storable(text), source=_storable(source), concept=mentioned(text, concepts))


def _storable(text: str) -> str:
    """Half of a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a replacement character."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def mentioned(text: str, concepts: Sequence[str]) -> str:
    """The first of the concepts that a text names, in its singular or plural; empty when it names none."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return next((concept for concept in concepts if _forms(concept) & words), "")


@cache
def _forms(concept: str) -> frozenset[str]:
    singular = inflect.engine().singular_noun(concept) if is_plural(concept) else concept
    return frozenset({concept, str(singular), plural(concept)})
