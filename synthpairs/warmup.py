"""A few batches painted and scored here and now, so that a plan rests on this machine and not on a table. Nothing is kept."""

import io
import statistics
import time
from pathlib import Path

from PIL import Image

from synthpairs.images.generator import Generator
from synthpairs.images.make import encoded
from synthpairs.images.params import Images
from synthpairs.planning.pictures import base_steps
from synthpairs.planning.rates import Rate
from synthpairs.schema import digest
from synthpairs.scores.clip import ClipScorer
from synthpairs.scores.params import Scores
from synthpairs.scores.ssim import self_similarity
from synthpairs.storage import read_table

TEXT = "a red umbrella on a green background"  # where no captions were curated yet
BATCHES = 3  # timed, after one that is not


def measured(images: Images, scores: Scores, data: Path) -> dict[str, Rate]:
    """Rates of `images` and `scores` on this machine, at the size and the steps of params.yaml; errors as the stages'."""
    table = data / "captions/kept.parquet"
    texts = read_table(table, "dvc repro captions")["text"].tolist() if table.exists() else [TEXT]
    generator, size = Generator(images), images.batch
    batch = [texts[0]] * size  # of one length: those of several are painted apart
    seconds = []
    pictures: list[bytes] = []
    for number in range(1 + BATCHES):
        started = time.monotonic()
        painted = generator.paint([digest("warm-up", number, place) for place in range(size)], batch)
        pictures = [encoded(picture, images.format, images.mark)[images.format] for picture in painted]
        seconds.append((time.monotonic() - started) / size)
    scoring = _scoring(scores, pictures, batch)
    device = generator.device.type
    told = f"{BATCHES} batches of {size} after one to warm up"
    steps = base_steps(images.steps, images.refiner.base_share if images.refiner else 1.0)
    passes = 1.0 if images.guidance > 1 else 0.5
    return {
        "images": Rate(
            seconds=statistics.median(seconds[1:]) / (steps * passes),
            piece=f"picture and step, {images.side} pixels", hardware=f"this machine ({device})", source=told,
            low=min(seconds[1:]) / statistics.median(seconds[1:]), high=max(seconds[1:]) / statistics.median(seconds[1:]),
            reference=images.side**2,
        ),
        "scores": Rate(
            seconds=scoring, piece=f"picture of {images.side} pixels", hardware=f"this machine ({device})",
            source=f"{size} pictures, one after the other", low=0.3, high=1.5, reference=images.side**2,
        ),
    }  # fmt: skip


def _scoring(params: Scores, pictures: list[bytes], texts: list[str]) -> float:
    """Seconds for each picture, on one thread for unpacking and SSIM: `scores` shares those among all cores."""
    scorer = ClipScorer(
        "scores", params.clip, params.pretrained,
        prefix=params.prefix, precision=params.precision, batch=params.batch,
    )  # fmt: skip
    scorer.embed_texts(texts[:1])  # picks its number of threads
    started = time.monotonic()
    views = []
    for payload in pictures:
        picture = Image.open(io.BytesIO(payload)).convert("RGB")
        views.append(scorer.view(picture))
        self_similarity(picture, params.ssim)
    scorer.embed_texts(texts)
    scorer.embed_pictures(views)
    return (time.monotonic() - started) / len(pictures)
