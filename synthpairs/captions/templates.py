"""Template captions over emoji names, each of a scene of training drawings; some have the noise of web captions."""

import numpy as np
import pandas as pd

from synthpairs.captions.params import Templates
from synthpairs.captions.record import Caption
from synthpairs.emoji.drawings import drawings_of_split, picture
from synthpairs.emoji.scenes import KINDS, draw_kind, draw_scene, render_png
from synthpairs.emoji.wording import random_caption

# Templates by kind of noise. The empty ones are generated: concept name and keywords, the caption of another scene, and the
# concept name repeated.
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


def template_captions(drawings: pd.DataFrame, concepts: list[str], params: Templates, seed: int) -> list[Caption]:
    """One template caption for each of `params.pictures` scenes of training drawings, with the scene's image as original.

    Scene i depends on `seed` and i alone, so that a larger number of scenes leaves the first ones unchanged.
    """
    unknown = sorted(set(params.noise) - set(NOISE)) + sorted(set(params.kinds) - set(KINDS))
    if unknown:
        known = f"noise is one of {', '.join(NOISE)}, a kind of scene one of {', '.join(KINDS)}"
        raise ValueError(f"params.yaml: captions.reference: {unknown[0]!r} is not known; {known}")
    if sum(params.noise.values()) > 1 or not sum(params.kinds.values()):
        raise ValueError("params.yaml: captions.reference: noise must add up to at most 1, kinds to more than 0")
    rows = list(drawings_of_split(drawings, "train", concepts))
    if not rows:
        raise ValueError(f"data/emoji/drawings.parquet has no training drawing of {', '.join(concepts[:5])} ...")
    pictures = {row["drawing"]: picture(row["png"]) for row in rows}
    keywords = {row["name"]: list(row["keywords"]) for row in rows}
    captions = []
    for number in range(params.pictures):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rows, rng, draw_kind(rng, params.kinds))
        text, noise = random_caption(scene, rng, keywords), _draw_noise(params.noise, rng)
        if noise:
            others = [row for row in rows if row["name"] not in scene.names]
            mismatch = random_caption(draw_scene(others, rng, "single"), rng, keywords)
            text = mismatch if noise == "mismatch" else _noisy(noise, text, scene.names[0], keywords, number, rng)
        captions.append(
            Caption(
                text=text, source="human", concept=scene.names[0], noise=noise,
                drawings=tuple(thing.drawing for thing in scene.things), original=render_png(scene, pictures, params.image_size),
            )
        )  # fmt: skip
    return captions


def _draw_noise(shares: dict[str, float], rng: np.random.Generator) -> str | None:
    rest = rng.random()
    for noise in sorted(shares):
        rest -= shares[noise]
        if rest < 0:
            return noise
    return None


def _noisy(
    noise: str, text: str, name: str, keywords: dict[str, list[str]], number: int, rng: np.random.Generator
) -> str:
    if noise == "repeated":
        return " ".join([name] * int(rng.integers(5, 12)))
    if noise == "keyword_spam":
        return ", ".join([name, *keywords.get(name, []), *rng.permutation(_SPAM)[:5].tolist(), name])
    templates = NOISE[noise]
    return templates[rng.integers(len(templates))].format(text=text, name=name, number=number)
