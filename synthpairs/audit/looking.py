"""What is measured of pictures themselves; models are loaded only when a setting asks for them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from PIL import Image

from synthpairs.audit.hashing import perceptual_hashes
from synthpairs.audit.params import Audit
from synthpairs.decode import image_or_error
from synthpairs.schema import digest
from synthpairs.scores.params import Scores

_TOGETHER = 128  # pictures in memory: 400 MB of 1024 pixels


class Measure(Protocol):
    """One thing to measure of pictures."""

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes what it finds, spelled out."""

    def take(self, pictures: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """Some columns of AUDIT for each RGB picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The measures that params ask for; the perceptual hash is always taken."""

    measures: dict[str, Measure]
    inputs: dict[str, Any]  # everything that changes what is found, spelled out
    benchmarks: dict[str, str]  # hash of every benchmark picture, by item

    def take(self, pictures: Iterable[tuple[str, bytes | None]]) -> Iterator[dict[str, Any]]:
        """Columns of AUDIT for (key, encoded picture) pairs, in order; one that cannot be read costs its own only."""
        source = iter(pictures)
        while some := list(islice(source, _TOGETHER)):
            with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter
                opened = list(pool.map(image_or_error, (payload for _, payload in some)))
            readable = [picture for picture in opened if not isinstance(picture, str)]
            cells: list[dict[str, Any]] = [{"phash": f"{value:016x}"} for value in perceptual_hashes(readable)]
            for measure in self.measures.values() if readable else ():
                cells = [cell | more for cell, more in zip(cells, measure.take(readable), strict=True)]
            rest = iter(cells)
            for (key, _), picture in zip(some, opened, strict=True):
                yield {"key": key} | ({"error": picture} if isinstance(picture, str) else next(rest))


def prepare(params: Audit, scores: Scores, references: Mapping[str, bytes]) -> Look:
    """Load what params ask for and look at the benchmarks' pictures (encoded, by item).

    ValueError or OSError when a model or a package cannot be had, and for a benchmark picture that cannot be read.
    """
    pictures: dict[str, Image.Image] = {}
    for item, payload in references.items():
        picture = image_or_error(payload)
        if isinstance(picture, str):
            raise ValueError(
                f"data/tasks: the picture of {item} cannot be read ({picture}); run `dvc repro tasks` again"
            )
        pictures[item] = picture
    measures: dict[str, Measure] = {}
    if params.cosine_min is not None and pictures:
        from synthpairs.audit.cosines import Cosines

        measures["cosines"] = Cosines(scores, pictures)
    if params.text:
        from synthpairs.audit.written import Reader

        measures["text"] = Reader()
    if params.nsfw:
        from synthpairs.audit.nsfw import Classifier

        measures["nsfw"] = Classifier(params.nsfw)
    hashes = perceptual_hashes(list(pictures.values()))
    shown = digest(*((item, hashlib.sha256(payload).hexdigest()) for item, payload in references.items()))
    return Look(
        measures=measures,
        inputs={"benchmarks": shown} | {name: measure.inputs for name, measure in measures.items()},
        benchmarks={item: f"{value:016x}" for item, value in zip(pictures, hashes, strict=True)},
    )
