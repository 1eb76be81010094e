"""Image inspection: perceptual hash, and CLIP cosine, text and NSFW probability where params ask for them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synthpairs.core.images import image_or_error
from synthpairs.core.schema import digest
from synthpairs.evaluation.contamination.hashing import perceptual_hashes
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.scoring.params import Scores

if TYPE_CHECKING:
    from synthpairs.evaluation.contamination.measures import Measure

_BATCH = 128  # images in memory: 400 MB of 1024 pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """The measures that params ask for; the perceptual hash is always taken."""

    measures: dict[str, "Measure"]
    inputs: dict[str, Any]  # everything that changes a result
    benchmarks: dict[str, np.uint64]  # perceptual hash of every benchmark image, by item

    def inspect(self, images: Iterable[tuple[str, bytes | None]]) -> Iterator[dict[str, Any]]:
        """Columns of CONTAMINATION for (key, encoded image) pairs, in order; an unreadable image has only `error`."""
        source = iter(images)
        while batch := list(islice(source, _BATCH)):
            with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the GIL
                decoded = list(pool.map(image_or_error, (payload for _, payload in batch)))
            readable = [image for image in decoded if not isinstance(image, str)]
            cells: list[dict[str, Any]] = [{"phash": f"{value:016x}"} for value in perceptual_hashes(readable)]
            for measure in self.measures.values() if readable else ():
                cells = [cell | more for cell, more in zip(cells, measure.measure(readable), strict=True)]
            results = iter(cells)
            for (key, _), image in zip(batch, decoded, strict=True):
                yield {"key": key} | ({"error": image} if isinstance(image, str) else next(results))


def load_inspector(params: Contamination, scores: Scores, references: Mapping[str, bytes]) -> Inspector:
    """Load the measures that params ask for, and hash the benchmarks' images (encoded, by item).

    ValueError or OSError when a model or a package is missing, or a benchmark image is unreadable.
    """
    images: dict[str, Image.Image] = {}
    for item, payload in references.items():
        image = image_or_error(payload)
        if isinstance(image, str):
            raise ValueError(f"data/tasks: the image of {item} cannot be read ({image}); run `dvc repro tasks` again")
        images[item] = image
    measures: dict[str, Measure] = {}
    if params.cosine_min is not None and images:  # imports are local, as torch takes seconds
        from synthpairs.evaluation.contamination.measures import NearestBenchmarkImage

        measures["cosines"] = NearestBenchmarkImage(scores, images)
    if params.text:
        from synthpairs.evaluation.contamination.measures import TextReader

        measures["text"] = TextReader()
    if params.nsfw:
        from synthpairs.evaluation.contamination.measures import NsfwClassifier

        measures["nsfw"] = NsfwClassifier(params.nsfw)
    hashes = perceptual_hashes(list(images.values()))
    digests = digest(*((item, hashlib.sha256(payload).hexdigest()) for item, payload in references.items()))
    return Inspector(
        measures=measures,
        inputs={"benchmarks": digests} | {name: measure.inputs for name, measure in measures.items()},
        benchmarks=dict(zip(images, hashes, strict=True)),
    )
