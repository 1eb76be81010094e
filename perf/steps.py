"""Training steps of the Synth2 route from embeddings or from pixels, timed by part, and their peak memory.

`python -m perf.steps ROUTE SHARD TOKENIZER` prints the peak memory of fine-tuning steps in MiB. Each route needs a process of
its own, as the peak of a process never falls.
"""

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from perf.paired import peak_mib
from perf.samples import Sample, read
from synthpairs.core.config import load_params
from synthpairs.core.determinism import best_device, compute_dtype
from synthpairs.generation.masked.tokens import TOKENS
from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.vlm.examples import caption_examples, collate
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm
from synthpairs.vlm.pictures import Picture
from synthpairs.vlm.pretraining import only_projector
from synthpairs.vlm.resampler_pretraining import BagOfWordsObjective, bag_of_words_collator, prepare
from synthpairs.vlm.training import CausalLMObjective, Objective
from synthpairs.vlm.vq_tower import VqLlava, codebook

Route = Literal["embeddings", "pixels"]
ROUTES: tuple[Route, Route] = ("embeddings", "pixels")
MEMORY_STEPS = 3


class Clock:
    """Seconds by part of a step."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Add the time within to a part."""
        started = now()
        yield
        self.spent[part] += now() - started

    def shares(self) -> dict[str, float]:
        """Share of each part in the total."""
        total = sum(self.spent.values())
        return {part: round(seconds / total, 4) for part, seconds in sorted(self.spent.items())}


def now() -> float:
    """Wall clock in seconds, read when the accelerator is idle."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True, slots=True)
class Setup:
    """One of the two trainings: `finetune` trains resampler and language model, `pretrain` the resampler alone."""

    kind: Literal["finetune", "pretrain"]
    vlm: Vlm
    resampler: Resampler
    training: Training


class Steps:
    """Training steps that cycle through the samples; both routes train one model."""

    def __init__(self, setup: Setup, samples: list[Sample]) -> None:
        self.clocks: dict[Route, Clock] = {route: Clock() for route in ROUTES}
        self._samples, self._batch = samples, setup.training.batch_size
        self._done: Counter[Route] = Counter()
        self._route: Route = ROUTES[0]
        model, self._processor = assemble(setup.vlm, setup.resampler)
        vision_tower, projector = model.model.vision_tower, model.model.multi_modal_projector
        assert isinstance(model, VqLlava)
        self._book = codebook(vision_tower).numpy()
        side = round(vision_tower.config.cells**0.5)
        self._grid = (side, vision_tower.config.cells // side)
        # Placeholders for the pixel values of a step; texts are the same for both routes.
        blank = TokenPicture(np.zeros(self._grid, np.uint16), self._book)
        pairs = [("", sample.text, blank) for sample in samples]
        self._examples, skipped = caption_examples(pairs, self._processor, setup.training.max_length)
        if len(self._examples) < len(samples):
            raise ValueError(f"some captions cannot be trained on ({skipped}); params.yaml: *.max_tokens")
        num_words = setup.resampler.words
        if num_words is None:
            raise ValueError("params.yaml: resampler.words must not be null: what is measured is the bag of words")
        words = prepare(model, self._examples, num_words)
        self._learner: Objective
        if setup.kind == "pretrain":
            only_projector(model)
            self._learner, self._rest = BagOfWordsObjective(model), "resampler"
            self._collate = bag_of_words_collator(words, num_words, self._examples)
        else:
            model.model.language_model.float()  # as `finetune` does, with the head
            model.lm_head.float()
            vision_tower.requires_grad_(False)
            self._learner, self._rest = CausalLMObjective(model), "language model"
            self._collate = collate
            self._time(projector, "resampler")
        self._time(vision_tower, "vision_tower")
        self._learner.to(best_device()).train()
        self._trained = [weight for weight in self._learner.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._trained, lr=setup.training.learning_rate, fused=True)

    def _time(self, module: nn.Module, part: str) -> None:
        """Time the module's forward pass as a part of its own."""
        started: list[float] = []

        def stop(*_: object) -> None:
            self.clocks[self._route].spent[part] += now() - started.pop()

        module.register_forward_pre_hook(lambda *_: started.append(now()))
        module.register_forward_hook(stop)

    def run(self, route: Route, steps: int) -> float:
        """Train for some steps; returns steps per second."""
        started = now()
        for _ in range(steps):
            self._step(route)
        return steps / (now() - started)

    def _step(self, route: Route) -> None:
        clock, self._route = self.clocks[route], route
        with clock.on("data"):
            first = self._done[route] * self._batch
            self._done[route] += 1
            indices = [index % len(self._samples) for index in range(first, first + self._batch)]
            batch = [
                dataclasses.replace(self._examples[index], picture=self._picture(self._samples[index], route))
                for index in indices
            ]
            inputs = {name: value.to(best_device()) for name, value in self._collate(batch).items()}
        before = sum(clock.spent.values())
        started = now()
        with torch.autocast(best_device().type, dtype=compute_dtype(), enabled=compute_dtype() != torch.float32):
            loss = self._learner(**inputs)["loss"]
        inner = sum(clock.spent.values()) - before  # timed by the hooks
        clock.spent[f"{self._rest} forward"] += now() - started - inner
        with clock.on("backward"):
            loss.backward()
        with clock.on("optimiser"):
            nn.utils.clip_grad_norm_(self._trained, 1.0)  # the Trainer's
            self._optimizer.step()
            self._optimizer.zero_grad()

    def _picture(self, sample: Sample, route: Route) -> Picture | TokenPicture:
        """The stored tokens, of which a step takes codebook vectors, or the stored image, of which it takes pixels."""
        if route == "embeddings":
            return TokenPicture(np.frombuffer(sample.tokens, TOKENS).reshape(self._grid), self._book)
        return Picture(sample.png, self._processor.image_processor, b"")


def peak_memory(route: Route, shard: Path, tokenizer: str) -> float:
    """Peak memory of a route in MiB, from a process that runs this module; ValueError with its last line when it fails."""
    command = [sys.executable, "-m", "perf.steps", route, str(shard), tokenizer]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        line = "".join(done.stderr.strip().splitlines()[-1:])
        raise ValueError(f"{' '.join(command)} ended with exit code {done.returncode}: {line or 'no output'}")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Train for a few steps, then print the peak of the accelerator, or without one that of the process."""
    name, shard, tokenizer = sys.argv[1:]
    route = next(route for route in ROUTES if route == name)
    resampler = dataclasses.replace(load_params(Resampler, "resampler"), tokenizer=tokenizer)
    setup = Setup("finetune", load_params(Vlm, "vlm"), resampler, load_params(Finetune, "finetune_tokens"))
    Steps(setup, read(Path(shard))).run(route, MEMORY_STEPS)
    print(torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else peak_mib())


if __name__ == "__main__":
    main()
