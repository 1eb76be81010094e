"""Captions with a red generated and a blue real image each, a tiny random VLM, and params."""

import io
from dataclasses import replace

import pytest
from PIL import Image, PngImagePlugin

from synthpairs.core.schema import CAPTIONS, PAIRS, REJECTED, caption_uid, digest
from synthpairs.core.storage import shard_bytes, write_bytes, write_table
from synthpairs.evaluation.preference.image_pairs import draw_image_pairs
from synthpairs.evaluation.preference.params import LocalJudges, Preference
from synthpairs.models.language.params import Served
from tests.report.gallery.conftest import browser  # noqa: F401
from tests.vlm.conftest import parts  # noqa: F401

THINGS = ("dog", "cat", "bus", "bell", "snail", "rose", "anchor", "fire")
SECRET = "made by a model"  # in the metadata of images
PARAMS = Preference(
    seed=0, count=6, synthetic="selected", image_size=24, engine="local", max_failed_share=0.0, resamples=200,
    local=LocalJudges(models=["replaced"], question="Is this {caption}? Answer yes or no.", margin=0.0, batch_size=4),
    server=Served(model="pinned-1", extra={}),
)  # fmt: skip


def solid(colour):
    """A PNG of one colour with SECRET in its metadata."""
    metadata = PngImagePlugin.PngInfo()
    metadata.add_itxt("XML:com.adobe.xmp", SECRET)
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG", pnginfo=metadata)
    return buffer.getvalue()


def is_red(png):
    """Whether an image is a generated one."""
    red, _, blue = Image.open(io.BytesIO(png)).convert("RGB").getpixel((0, 0))
    return red > blue


def write_arms(data, things=THINGS):
    """Both arms: captions with a real image, the first with two candidates, and one caption without a real image."""
    captions, selected, real, samples = [], [], [], []
    for index, thing in enumerate(things):
        text, uid = f"a picture of one {thing} on white", caption_uid(thing, "human")
        row = dict.fromkeys(CAPTIONS.names) | {"uid": uid, "text": text, "concept": thing, "drawings": []}
        captions.append(row | {"source": "human", "original": solid((20, index, 200))})
        pair = {"uid": uid, "text": text, "concept": thing}
        real.append(pair | {"key": uid, "origin": "real", "shard": None})
        for number in range(1 if index else 2):
            key = digest("candidate", uid, number)
            selected.append(pair | {"key": key, "origin": "synthetic", "shard": "shard-a.tar"})
            samples.append((key, {"png": solid((200, index, number))}))
    key = digest("lonely")
    lonely = {"key": key, "uid": caption_uid("lonely", "model"), "text": "a lonely moon", "concept": "moon"}
    selected.append(lonely | {"origin": "synthetic", "shard": "shard-a.tar"})
    samples.append((key, {"png": solid((200, 0, 0))}))
    write_bytes(data / "images/shard-a.tar", shard_bytes(sorted(samples)))
    write_table(data / "captions/kept.parquet", captions, CAPTIONS)
    write_table(data / "captions/rejected.parquet", [], REJECTED)
    for arm, pairs in (("selected", selected), ("real", real)):
        write_table(data / f"selection/pairs/{arm}.parquet", sorted(pairs, key=lambda pair: pair["key"]), PAIRS)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The pipeline's data."""
    folder = tmp_path_factory.mktemp("data")
    write_arms(folder)
    return folder


@pytest.fixture(scope="session")
def vlm(parts, tmp_path_factory):  # noqa: F811
    """Directory of a tiny random LLaVA."""
    from synthpairs.vlm.model import assemble, save

    folder = tmp_path_factory.mktemp("vlm")
    save(*assemble(parts), folder)
    return folder


@pytest.fixture
def settings(vlm):
    """Section `preference` with the tiny judge."""
    params = replace(PARAMS, local=replace(PARAMS.local, models=[str(vlm)]))
    return lambda **changed: replace(params, **changed)


@pytest.fixture
def image_pairs(data):
    """Six pairs."""
    return draw_image_pairs(PARAMS, data)
