"""Pretraining of the Synth2 route's resampler: its tokens learn to say a caption's words before any language model is asked.

A step through the language model costs a hundred times what a step of the resampler costs, and its loss says little about
which token should say what. Here the tokens' distributions over words are compared with the caption's own words, as a bag:
the mean over the tokens must hold each of them, rare words weighing more (inverse document frequency). The language model
comes in at fine-tuning. In neither paper; docs/design-notes.md has what it brings.
"""

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


class BagOfWordsObjective(Trained):
    """The resampler alone: cross-entropy of the caption's words under its tokens' mean distribution over words."""

    accepts_loss_kwargs = False  # a step's loss is the mean over its captions

    def forward(self, pixel_values: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The loss; `targets` [caption, word] add up to 1."""
        with torch.no_grad():
            features = self.vlm.model.vision_tower(pixel_values).last_hidden_state
        log_probs = self.vlm.model.multi_modal_projector.shares(features)
        mean = log_probs.logsumexp(1) - math.log(log_probs.shape[1])
        return {"loss": -(targets * mean).sum() / len(targets)}


def prepare(model: CodeLlava, examples: Sequence[Example], count: int) -> list[int]:
    """Give the resampler the codebook's scale, and as its words the `count` most frequent tokens of the captions; returns them.

    The most frequent comes first, equal ones by id. Without captions they are the first of the vocabulary: a resampler without
    words has no output.
    """
    counts = Counter(label for example in examples for label in example.labels if label != IGNORED)
    words = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]]
    words = words or list(range(count))
    book = codebook(model.model.vision_tower)
    model.model.multi_modal_projector.prepare(book, model.get_input_embeddings().weight[words])
    return words


def bag_of_words_collator(
    words: Sequence[int], columns: int, examples: Sequence[Example]
) -> Callable[[Sequence[Example]], dict[str, Tensor]]:
    """A collator for BagOfWordsObjective: codebook vectors, and targets [example, columns] by the words' rarity in `examples`.

    Columns beyond the words stay empty, as the table does there.
    """
    column = {word: number for number, word in enumerate(words)}
    document_counts = Counter(column[label] for example in examples for label in set(example.labels) if label in column)
    rarity = {number: max(math.log(len(examples) / count), RAREST) for number, count in document_counts.items()}

    def collate(batch: Sequence[Example]) -> dict[str, Tensor]:
        weights = torch.zeros(len(batch), columns)
        for row, example in enumerate(batch):
            for label in example.labels:
                if label in column:
                    weights[row, column[label]] = rarity[column[label]]
        targets = weights / weights.sum(1, keepdim=True).clamp(min=RAREST)
        return {"pixel_values": torch.stack(pixels_of(batch)), "targets": targets}

    return collate


def align_codes(
    pairs: Iterable[tuple[str, str, np.ndarray]],
    vlm: Vlm,
    resampler: Resampler,
    params: Training,
    out: Path,
    watch: Callable[[int, WordResampler], object] | None = None,
) -> dict[str, Any]:
    """Train the resampler on (key, caption, codebook vectors) and write it to `out`, in float32; returns metrics.

    `watch` is called with the step and the resampler after every step.
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
        learner=BagOfWordsObjective(model),
        examples=examples,
        params=params,
        vlm=vlm,
        resampler=resampler,
        collator=bag_of_words_collator(words, resampler.words, examples),
        watch=None if watch is None else lambda step: watch(step, projector),
    )
    metrics = fit(task, write, out)
    return metrics | {"words": len(words), "skipped": skipped} | hub_parts(vlm, resampler)
