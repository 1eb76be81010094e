"""A craft without a model: pictures are noise of their keys, captions say what is to go wrong. Workers import it: it is light."""

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
from synthpairs.generation.batch import Craft


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribbles:
    """Settings, as params sections about candidates have them; and how slow and how large the device is."""

    candidates: int = 2
    batch: int = 4
    samples_per_shard: int = 8
    max_failed_share: float = 0.0
    seconds: float = 0.0  # that a batch takes
    memory: int = 1024  # the largest batch that fits


class Scribbler:
    model_max_length = 64

    def __init__(self, params, inputs):
        self.params, self.inputs, self.fingerprint = params, inputs, digest(inputs)
        self.device = torch.device("cpu")
        self.tokenizer = self

    def __call__(self, texts, truncation):
        return SimpleNamespace(input_ids=[text.split() for text in texts])

    def draw(self, keys, texts):
        assert len(keys) <= self.params.batch
        if self.params.batch > self.params.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        time.sleep(self.params.seconds)
        for text in texts:
            what, _, mark = text.partition(" ")
            if what == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "bad":
                raise RuntimeError("cannot stomach this")
            if what == "breaking" and not Path(mark).exists():
                Path(mark).touch()
                raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        sources = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
        return [torch.randint(256, (8, 8, 3), generator=source, dtype=torch.uint8) for source in sources]


def scribbling(params):
    return _craft(Scribbler(params, {"model": "scribbles"}))


def fickle(params):
    """The craft with another identity in each process."""
    return _craft(Scribbler(params, {"process": os.getpid()}))


def _craft(generator):
    return Craft(stage="scribbles", noun="scribble", generator=generator, make=generator.draw, encode=_encoded, told={})


def _encoded(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, "PNG")
    return {"png": buffer.getvalue()}
