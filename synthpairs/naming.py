"""Alignment on the Synth2 route: the resampler learns to say a caption's words before any language model is asked.

A step through the language model costs a hundred times what a step of the resampler costs, and its loss says little about
which token should say what. Here the tokens' mixtures of words are compared with the caption's own words: the mean of the
tokens' shares must hold each of them, rare words weighing more (inverse document frequency). The language model comes in at
fine-tuning. In neither paper; docs/design-notes.md has what it brings.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synthpairs.vlm.codes import CodeLlava, WordResampler, codebook
from synthpairs.vlm.examples import IGNORED, Example, caption_examples, pixels_of
from synthpairs.vlm.fitting import Fit, check_skipped, fit
from synthpairs.vlm.llava import only_projector, save_projector
from synthpairs.vlm.model import assemble, hub_parts
from synthpairs.vlm.params import Resampler, Training, Vlm
from synthpairs.vlm.training import Trained
from synthpairs.vlm.warmstart import RAREST

log = logging.getLogger(__name__)


class Namer(Trained):
    """The resampler alone: its loss is how little of the caption's words its tokens say."""

    accepts_loss_kwargs = False  # a step's loss is the mean over its captions

    def forward(self, pixel_values: Tensor, said: Tensor) -> dict[str, Tensor]:
        """Cross-entropy between `said` [caption, word], shares that add up to 1, and the tokens' mean shares."""
        with torch.no_grad():
            seen = self.vlm.model.vision_tower(pixel_values).last_hidden_state
        shares = self.vlm.model.multi_modal_projector.shares(seen)
        mean = shares.logsumexp(1) - math.log(shares.shape[1])
        return {"loss": -(said * mean).sum() / len(said)}


def prepare(model: CodeLlava, examples: Sequence[Example], count: int) -> list[int]:
    """Give the resampler the codebook's scale, and as its words the `count` most frequent tokens of the captions; returns them.

    The most frequent comes first, equal ones by id. Without captions they are the first of the vocabulary: a resampler without
    words has no output.
    """
    said = Counter(label for example in examples for label in example.labels if label != IGNORED)
    words = [token for token, _ in sorted(said.items(), key=lambda item: (-item[1], item[0]))[:count]]
    words = words or list(range(count))
    eye = model.model.vision_tower
    model.model.multi_modal_projector.prepare(codebook(eye), model.get_input_embeddings().weight[words])
    return words


def words_said(
    words: Sequence[int], columns: int, examples: Sequence[Example]
) -> Callable[[Sequence[Example]], dict[str, Tensor]]:
    """A collator for Namer: codebook vectors, and the share of each of `words` in what is learnt, by rarity in `examples`.

    Shares are [example, columns]; columns beyond the words stay empty, as the table does there.
    """
    column = {word: number for number, word in enumerate(words)}
    holding = Counter(column[label] for example in examples for label in set(example.labels) if label in column)
    rarity = {number: max(math.log(len(examples) / count), RAREST) for number, count in holding.items()}

    def collated(batch: Sequence[Example]) -> dict[str, Tensor]:
        said = torch.zeros(len(batch), columns)
        for row, example in enumerate(batch):
            for label in example.labels:
                if label in column:
                    said[row, column[label]] = rarity[column[label]]
        return {
            "pixel_values": torch.stack(pixels_of(batch)),
            "said": said / said.sum(1, keepdim=True).clamp(min=RAREST),
        }

    return collated


def align_codes(
    pairs: Iterable[tuple[str, str, np.ndarray]],
    vlm: Vlm,
    resampler: Resampler,
    params: Training,
    out: Path,
    watch: Callable[[int, WordResampler], object] | None = None,
) -> dict[str, Any]:
    """Train the resampler on (key, caption, codebook vectors) and write it to `out`, in float32; returns metrics.

    `watch` sees the resampler after every step.
    """
    model, processor = assemble(vlm, resampler)
    projector = only_projector(model)
    assert isinstance(projector, WordResampler)
    examples, skipped = caption_examples(pairs, processor, params.max_tokens)
    check_skipped(skipped, len(examples), params, "align_codes")
    words = prepare(model, examples, resampler.words)

    def write(directory: Path) -> None:
        directory.mkdir()
        save_projector(projector, directory)

    task = Fit(
        stage="align_codes",
        learner=Namer(model),
        examples=examples,
        params=params,
        vlm=vlm,
        resampler=resampler,
        collator=words_said(words, resampler.words, examples),
        watch=None if watch is None else lambda step: watch(step, projector),
    )
    metrics = fit(task, write, out)
    return metrics | {"words": len(words), "skipped": skipped} | hub_parts(vlm, resampler)
