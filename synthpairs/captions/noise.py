"""The bad captions that the web has, made on purpose so that the filters have what they are for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What a bad caption is made of: the honest text, its concept, keywords by concept, another picture's text."""

    text: str
    name: str
    keywords: dict[str, list[str]]
    other: str
    number: int  # of the picture


def _pick(choices: tuple[str, ...], spoilt: Spoilt, rng: np.random.Generator) -> str:
    chosen = choices[rng.integers(len(choices))]
    return chosen.format(text=spoilt.text, name=spoilt.name, number=spoilt.number)


def _boilerplate(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return _pick(
        (
            "Image may contain: {name}",
            "Click the image to enlarge",
            "No photo description available",
            "Thumbnail {number}",
            "Buy {name} online, best price, free shipping!!!",
            "Welcome to our website",
            "Share this on social media",
        ),
        spoilt,
        rng,
    )


def _file_name(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return _pick(("IMG_{number:04d}.JPG", "DSC{number:05d}.jpg", "{name}-{number}-512x512.png"), spoilt, rng)


def _repeated(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return " ".join([spoilt.name] * int(rng.integers(5, 12)))


def _keyword_spam(spoilt: Spoilt, rng: np.random.Generator) -> str:
    tail = ["hd", "wallpaper", "free download", "vector", "stock", "clipart", "png", "4k"]
    words = [spoilt.name, *spoilt.keywords.get(spoilt.name, []), *rng.permutation(tail)[:5].tolist()]
    return ", ".join([*words, spoilt.name])


def _mismatch(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return spoilt.other


def _html(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return _pick(('<a href="/item/{number}">{text}</a>', "{text}<br/>", "{text} &raquo; more"), spoilt, rng)


def _adult(spoilt: Spoilt, rng: np.random.Generator) -> str:
    return _pick(("xxx {name} pics", "nude {name} on a bed"), spoilt, rng)


SPOILERS: dict[str, Callable[[Spoilt, np.random.Generator], str]] = {
    "adult": _adult,
    "boilerplate": _boilerplate,
    "file_name": _file_name,
    "html": _html,
    "keyword_spam": _keyword_spam,
    "mismatch": _mismatch,
    "repeated": _repeated,
}
