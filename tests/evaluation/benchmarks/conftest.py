"""A small world of drawn shapes with its drawings table, its tasks, and a tiny random LLaVA."""

import io
import zlib

import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

from synthpairs.emoji.tasks.make import make_tasks
from synthpairs.emoji.tasks.params import Mix, Tasks
from synthpairs.emoji.tasks.words import CLASSES
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks, RouteTasks
from synthpairs.vlm.model import assemble
from tests.vlm.conftest import parts  # noqa: F401

KINDS = {
    "animal or plant": ["ant", "cat", "cow", "dog", "rose", "snake"],
    "food or drink": ["bread", "cherries", "lemon", "peach", "pear", "tomato"],
    "object": ["bell", "bomb", "crown", "door", "guitar", "jeans"],
    "place or vehicle": ["airplane", "anchor", "bus", "fire", "rocket", "tractor"],
}
STYLES = {"flat": "train", "noto": "train", "fox": "heldout_combination", "openmoji": "heldout_style"}
SMALL = Tasks(
    seed=3, image_size=48, references=3, caption=16, pope=96, vqa=48, sqa=32, text=24,
    instructions=Mix(pictures=40, turns=3, text=24),
)  # fmt: skip
PARAMS = Benchmark(tasks=RouteTasks(pictures=[], tokens=[]), batch_size=48, resamples=200, seed=0)
EXTERNAL = ExternalBenchmarks(pictures=[], tokens=[], text=[], shots=0, limit=None, include=None)


def _png(name, style):
    hue = zlib.crc32(f"{name}/{style}".encode())
    image = Image.new("RGBA", (32, 32))
    ImageDraw.Draw(image).ellipse((2, 2, 29, 20 + hue % 9), fill=(hue & 255, hue >> 8 & 255, hue >> 16 & 255, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def concepts():
    """The small world's concepts."""
    return [name for names in KINDS.values() for name in names]


@pytest.fixture(scope="session")
def drawings():
    """A table as data/emoji/drawings.parquet: four styles of every concept, and words that only have keywords."""
    named = [(name, kind, []) for kind, names in KINDS.items() for name in names]
    named += [(sort + letter * 2, "face", [sort]) for sort in CLASSES for letter in "abcdef"]  # birdaa, birdbb, ...
    return pd.DataFrame(
        {
            "drawing": f"{name}/{style}", "concept": name, "name": name, "kind": kind, "keywords": keywords,
            "style": style, "licence": "MIT", "split": split, "png": _png(name, style),
        }
        for name, kind, keywords in named
        for style, split in STYLES.items()
    )  # fmt: skip


@pytest.fixture(scope="session")
def task_directory(drawings, concepts, tmp_path_factory):
    """data/tasks of the small world."""
    out = tmp_path_factory.mktemp("tasks")
    make_tasks(drawings, drawings, concepts, SMALL, out)
    return out


@pytest.fixture(scope="session")
def tiny_vlm(parts):  # noqa: F811
    """The tiny LLaVA, its weights scaled so that its answers differ, and its processor."""
    model, processor = assemble(parts)
    for weight in model.float().eval().requires_grad_(False).parameters():
        if weight.ndim > 1:
            weight *= 15
    return model, processor


def log_likelihood(model, processor, context, end):
    """Log-likelihood of `end` after `context`."""
    start = len(processor.tokenizer(context)["input_ids"])
    ids = processor.tokenizer(context + end, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        log_probs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
    return log_probs.gather(1, ids[0, start:, None]).sum().item()


def directly(model, processor, question, picture, tokens=3):
    """The greedy answer by transformers alone; the image precedes the question."""
    content = ([{"type": "image"}] if picture else []) + [{"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [Image.open(io.BytesIO(picture))] if picture else None
    inputs = processor(images=images, text=prompt, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(ids, skip_special_tokens=True).split("\n")[0].strip()
