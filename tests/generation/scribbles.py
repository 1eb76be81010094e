"""A generator without a model: pictures are noise of their keys, and captions say how it fails. Light, for workers import it."""

import io
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image

from synthpairs.core.schema import digest, noise_seed
from synthpairs.generation.batch import GenerationSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribbles:
    """The params that all generators have, and speed and memory of the device."""

    candidates: int = 2
    batch_size: int = 4
    samples_per_shard: int = 8
    max_failed_share: float = 0.0
    seconds: float = 0.0  # per batch
    memory: int = 1024  # the largest batch that fits


class Scribbler:
    model_max_length = 64

    def __init__(self, params, inputs):
        self.params, self.inputs, self.fingerprint = params, inputs, digest(inputs)
        self.device = torch.device("cpu")
        self.tokenizer = self

    def __call__(self, texts, truncation):
        return SimpleNamespace(input_ids=[text.split() for text in texts])

    def generate(self, keys, texts):
        assert len(keys) <= self.params.batch_size
        if self.params.batch_size > self.params.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        time.sleep(self.params.seconds)
        for text in texts:
            word, _, mark = text.partition(" ")
            if word == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "bad":
                raise RuntimeError("cannot draw this")
            if word == "breaking" and not Path(mark).exists():
                Path(mark).touch()
                raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        sources = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
        return [torch.randint(256, (8, 8, 3), generator=source, dtype=torch.uint8) for source in sources]


def scribble_spec(params):
    return _spec(Scribbler(params, {"model": "scribbles"}))


def inconsistent_spec(params):
    """Has another fingerprint in each process."""
    return _spec(Scribbler(params, {"process": os.getpid()}))


def _spec(generator):
    return GenerationSpec(
        stage="scribbles", noun="scribble", generator=generator, generate=generator.generate, encode=_encode
    )


def _encode(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, "PNG")
    return {"png": buffer.getvalue()}
