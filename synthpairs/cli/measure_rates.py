"""Measured rates: a few batches of images generated and scored on this machine. Nothing is kept."""

import io
import statistics
import time
from pathlib import Path

from PIL import Image

from synthpairs.cli.estimate.rates import Rate
from synthpairs.cli.estimate.work import guided_steps
from synthpairs.core.schema import digest
from synthpairs.core.storage import read_table
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import encoded
from synthpairs.generation.diffusion.params import Images
from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.params import Scores
from synthpairs.scoring.ssim import self_similarity

TEXT = "a red umbrella on a green background"  # where no captions were curated yet
BATCHES = 3  # timed, after one that is not


def measured(images: Images, scores: Scores, data: Path) -> dict[str, Rate]:
    """Rates of `images` and `scores` on this machine, at the size and the steps of params.yaml; errors as the stages'."""
    table = data / "captions/kept.parquet"
    text = read_table(table, "dvc repro captions")["text"].iloc[0] if table.exists() else TEXT
    generator, texts = Generator(images), [text] * images.batch  # of one length: each length is a batch of its own
    seconds, files = [], list[bytes]()
    for number in range(1 + BATCHES):
        started = time.monotonic()
        made = generator.paint([digest("warm-up", number, index) for index in range(images.batch)], texts)
        files = [encoded(image, images.format, images.mark)[images.format] for image in made]
        seconds.append((time.monotonic() - started) / images.batch)
    typical, fastest, slowest = statistics.median(seconds[1:]), min(seconds[1:]), max(seconds[1:])
    here, pixels, image = f"this machine, {generator.device.type}", images.side**2, f"image of {images.side} pixels"
    return {
        "images": Rate(
            typical / guided_steps(images), fastest / typical, slowest / typical, f"{image} and step",
            f"measured: {BATCHES} batches of {images.batch} after one to warm up", pixels, here,
        ),
        "scores": Rate(
            _scoring(scores, files, texts), 0.3, 1.5, image,
            f"measured: {images.batch} images, one after the other", pixels, here,
        ),
    }  # fmt: skip


def _scoring(params: Scores, files: list[bytes], texts: list[str]) -> float:
    """Seconds for each image, decoded and compared (SSIM) on one thread: `scores` shares that among all cores."""
    scorer = ClipScorer(
        "scores", params.clip, params.pretrained,
        prefix=params.prefix, precision=params.precision, batch=params.batch,
    )  # fmt: skip
    scorer.embed_texts(texts[:1])  # picks its number of threads
    started = time.monotonic()
    views = []
    for payload in files:
        image = Image.open(io.BytesIO(payload)).convert("RGB")
        views.append(scorer.view(image))
        self_similarity(image, params.ssim)
    scorer.embed_texts(texts)
    scorer.embed_pictures(views)
    return (time.monotonic() - started) / len(files)
