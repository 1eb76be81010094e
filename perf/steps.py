"""Steps of the Synth2 route's two trainings, fed by either route, with a clock on every part."""

import contextlib
import io
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perf.samples import Sample
from synthpairs.core.determinism import best_device, compute_dtype
from synthpairs.generation.masked.codes import TOKENS, vectors_of
from synthpairs.vlm.codes import CodeLlava, codebook
from synthpairs.vlm.examples import Example, caption_examples, collate
from synthpairs.vlm.llava import only_projector
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Resampler, Training, Vlm
from synthpairs.vlm.resampler_pretraining import BagOfWordsObjective, bag_of_words_collator, prepare
from synthpairs.vlm.training import Learner, Trained

Route = Literal["embeddings", "pixels"]
ROUTES: tuple[Route, Route] = ("embeddings", "pixels")


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Count what happens meanwhile as this part's."""
        started = now()
        yield
        self.spent[part] += now() - started

    def shares(self) -> dict[str, float]:
        """Each part's share of the whole."""
        total = sum(self.spent.values())
        return {part: round(seconds / total, 4) for part, seconds in sorted(self.spent.items())}


def now() -> float:
    """Seconds on a clock that waits for the accelerator."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True, slots=True)
class Course:
    """One of the two trainings: `finetune` trains resampler and language model, `align` the resampler alone."""

    kind: Literal["finetune", "align"]
    vlm: Vlm
    resampler: Resampler
    training: Training


class Steps:
    """Training steps over samples in their order, again and again; both routes train one model."""

    def __init__(self, course: Course, samples: list[Sample]) -> None:
        self.clocks: dict[Route, Clock] = {route: Clock() for route in ROUTES}
        self._samples, self._batch = samples, course.training.batch
        self._done: Counter[Route] = Counter()
        self._route: Route = ROUTES[0]
        model, self._processor = assemble(course.vlm, course.resampler)
        eye, projector = model.model.vision_tower, model.model.multi_modal_projector
        assert isinstance(model, CodeLlava)
        self._book = codebook(eye).numpy()
        side = round(eye.config.cells**0.5)
        self._grid = (side, eye.config.cells // side)
        # What is seen takes the place of these pictures; the words are the same for both routes.
        blank = np.zeros((eye.config.hidden_size, *self._grid), np.float32)
        pairs = [("", sample.text, blank) for sample in samples]
        self._examples, skipped = caption_examples(pairs, self._processor, course.training.max_tokens)
        if len(self._examples) < len(samples):
            raise ValueError(f"there are captions that cannot be trained on ({skipped}); params.yaml: *.max_tokens")
        words = prepare(model, self._examples, course.resampler.words)
        self._learner: Trained
        if course.kind == "align":
            only_projector(model)
            self._learner, self._rest = BagOfWordsObjective(model), "resampler"
            self._collate = bag_of_words_collator(words, course.resampler.words, self._examples)
        else:
            model.model.language_model.float()  # as `finetune` does, with the head
            model.lm_head.float()
            eye.requires_grad_(False)
            self._learner, self._rest = Learner(model), "language model"
            self._collate = collate
            self._time(projector, "resampler")
        self._time(eye, "eye")
        self._learner.to(best_device()).train()
        self._trained = [weight for weight in self._learner.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._trained, lr=course.training.learning_rate, fused=True)

    def _time(self, module: nn.Module, part: str) -> None:
        """Have a module's forward counted as a part of its own."""
        started: list[float] = []

        def stop(*_: object) -> None:
            self.clocks[self._route].spent[part] += now() - started.pop()

        module.register_forward_pre_hook(lambda *_: started.append(now()))
        module.register_forward_hook(stop)

    def run(self, route: Route, steps: int) -> float:
        """Train for so many steps; returns steps per second."""
        started = now()
        for _ in range(steps):
            self._step(route)
        return steps / (now() - started)

    def _step(self, route: Route) -> None:
        clock, self._route = self.clocks[route], route
        with clock.on("data"):
            first = self._done[route] * self._batch
            self._done[route] += 1
            places = [place % len(self._samples) for place in range(first, first + self._batch)]
            seen = self._seen([self._samples[place] for place in places], route).to(
                torch.bfloat16
            )  # as Example keeps it
            batch = [Example(self._examples[place].ids, self._examples[place].labels, pixels)
                     for place, pixels in zip(places, seen, strict=True)]  # fmt: skip
            inputs = {name: value.to(best_device()) for name, value in self._collate(batch).items()}
        before = sum(clock.spent.values())
        started = now()
        with torch.autocast(best_device().type, dtype=compute_dtype(), enabled=compute_dtype() != torch.float32):
            loss = self._learner(**inputs)["loss"]
        inner = sum(clock.spent.values()) - before  # counted by the hooks
        clock.spent[f"{self._rest} forward"] += now() - started - inner
        with clock.on("backward"):
            loss.backward()
        with clock.on("optimiser"):
            nn.utils.clip_grad_norm_(self._trained, 1.0)  # the Trainer's
            self._optimizer.step()
            self._optimizer.zero_grad()

    def _seen(self, samples: list[Sample], route: Route) -> Tensor:
        """What the eye is given: codebook vectors of the stored tokens, or pixels of the stored pictures."""
        if route == "embeddings":
            tokens = np.stack([np.frombuffer(sample.tokens, TOKENS).reshape(self._grid) for sample in samples])
            return torch.from_numpy(vectors_of(tokens, self._book))
        pictures = [Image.open(io.BytesIO(sample.png)).convert("RGB") for sample in samples]
        return self._processor.image_processor(pictures, return_tensors="pt").pixel_values
