"""Rates of this machine: a few batches of images are generated, scored and discarded."""

import statistics
import time
from pathlib import Path

from synthpairs.cli.estimate.rates import HERE, Rate
from synthpairs.cli.estimate.work import guided_steps
from synthpairs.core.images import decode_image
from synthpairs.core.schema import digest
from synthpairs.core.storage import read_table
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import encoded
from synthpairs.generation.diffusion.params import Images
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import load_scorer
from synthpairs.scoring.ssim import self_similarity

TEXT = "a red umbrella on a green background"  # before stage `captions` has run
BATCHES = 3  # timed, after one to warm up


def measured_rates(images: Images, scores: Scores, data: Path) -> dict[str, Rate]:
    """Rates of stages `images` and `scores` at the image size and steps of params.yaml; errors as the stages'."""
    table = data / "captions/kept.parquet"
    text = read_table(table, "dvc repro captions", ["text"])["text"].iloc[0] if table.exists() else TEXT
    generator = Generator(images)
    texts = [text] * images.batch_size  # of equal length, because each length is a batch of its own
    seconds, files = [], list[bytes]()
    for number in range(1 + BATCHES):
        started = time.monotonic()
        painted = generator.generate_images(
            [digest("warm-up", number, index) for index in range(images.batch_size)], texts
        )
        files = [encoded(image, images)[images.format] for image in painted]
        seconds.append((time.monotonic() - started) / images.batch_size)
    typical, fastest, slowest = statistics.median(seconds[1:]), min(seconds[1:]), max(seconds[1:])
    here, pixels, image = (
        f"{HERE}, {generator.device.type}",
        images.image_size**2,
        f"image of {images.image_size} pixels",
    )
    return {
        "images": Rate(
            typical / guided_steps(images), fastest / typical, slowest / typical, f"{image} and step",
            f"measured: {BATCHES} batches of {images.batch_size} after one to warm up, one caption of "
            f"{len(text.split())} words", pixels, here,
        ),
        "scores": Rate(
            _scoring(scores, files, texts), 0.3, 1.5, image,
            f"measured: {images.batch_size} images, one after the other", pixels, here,
        ),
    }  # fmt: skip


def _scoring(params: Scores, files: list[bytes], texts: list[str]) -> float:
    """Seconds per image, with decoding and SSIM on one thread; stage `scores` uses all cores for those."""
    scorer = load_scorer(params)
    scorer.embed_texts(texts[:1])  # chooses the number of threads
    started = time.monotonic()
    views = []
    for payload in files:
        image = decode_image(payload)
        views.append(scorer.view(image))
        self_similarity(image, params.ssim)
    scorer.embed_texts(texts)
    scorer.embed_pictures(views)
    return (time.monotonic() - started) / len(files)
