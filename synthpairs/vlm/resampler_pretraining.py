"""Pretraining of the Synth2 route's resampler on captions, through the language model or, with a table of words, without it.

A resampler without words is trained as LLaVA's projector: by the frozen language model's cross-entropy on the caption.
A step through the language model costs a hundred times what a step of the resampler costs, and its loss says little about
which token should carry which word. So at desk scale the tokens' distributions over words are trained as a bag of words: their
mean must contain each word of the caption, weighted by inverse document frequency. The language model takes part in
fine-tuning. In neither paper; its effect is in docs/design-notes.md.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.vlm.examples import (
    IGNORED,
    Example,
    caption_examples,
    check_skipped,
    collate,
    example_store,
    pixels_of,
)
from synthpairs.vlm.model import assemble, hub_parts
from synthpairs.vlm.params import Resampler, Training, Vlm
from synthpairs.vlm.pretraining import only_projector, save_projector
from synthpairs.vlm.projector_init import MIN_IDF
from synthpairs.vlm.training import CausalLMObjective, Objective, run_training
from synthpairs.vlm.vq_tower import PerceiverResampler, VqLlava, codebook


class BagOfWordsObjective(Objective):
    """Bag-of-words objective: cross-entropy of the caption's words under the tokens' mean distribution over words."""

    accepts_loss_kwargs = False  # a step's loss is the mean over its captions

    def forward(self, pixel_values: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The loss; each row of `targets` [caption, word] sums to 1."""
        with torch.no_grad():
            features = self.vlm.model.vision_tower(pixel_values).last_hidden_state
        log_probs = self.vlm.model.multi_modal_projector.log_probs(features)
        mean = log_probs.logsumexp(1) - math.log(log_probs.shape[1])
        return {"loss": -(targets * mean).sum() / len(targets)}


def prepare(model: VqLlava, examples: Sequence[Example], count: int | None) -> list[int]:
    """Set the resampler's scale, and as its words the `count` most frequent tokens of the captions; returns these.

    Most frequent first, ties by id. Without captions they are the first of the vocabulary, for a table of no words has no
    output. `count` None: a resampler without such a table.
    """
    if count is None:
        model.model.multi_modal_projector.prepare(codebook(model.model.vision_tower), torch.empty(0))
        return []
    counts = Counter(label for example in examples for label in example.labels if label != IGNORED)
    words = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]]
    words = words or list(range(count))
    embeddings = model.get_input_embeddings().weight[words]
    model.model.multi_modal_projector.prepare(codebook(model.model.vision_tower), embeddings)
    return words


def bag_of_words_collator(
    words: Sequence[int], columns: int, examples: Sequence[Example]
) -> Callable[[Sequence[Example]], dict[str, Tensor]]:
    """Collator of BagOfWordsObjective: codebook vectors, and targets [example, columns] by the words' IDF in `examples`.

    Columns beyond the words are zero, like the rows of the word table.
    """
    column = {word: number for number, word in enumerate(words)}
    document_counts = Counter(column[label] for example in examples for label in set(example.labels) if label in column)
    idf = {number: max(math.log(len(examples) / count), MIN_IDF) for number, count in document_counts.items()}

    def collate(batch: Sequence[Example]) -> dict[str, Tensor]:
        weights = torch.zeros(len(batch), columns)
        for row, example in enumerate(batch):
            for label in example.labels:
                if label in column:
                    weights[row, column[label]] = idf[column[label]]
        targets = weights / weights.sum(1, keepdim=True).clamp(min=MIN_IDF)
        return {"pixel_values": torch.stack(pixels_of(batch)), "targets": targets}

    return collate


def pretrain_tokens(
    pairs: Iterable[tuple[str, str, TokenPicture]],
    vlm: Vlm,
    resampler: Resampler,
    params: Training,
    out: Path,
    on_step: Callable[[int, PerceiverResampler], object] | None = None,
) -> dict[str, Any]:
    """Train the resampler on (key, caption, VQ tokens) and write it to `out`, in float32; returns metrics.

    `on_step` is called with the step's number and the resampler after every step.
    """
    section = "pretrain_tokens"
    model, processor = assemble(vlm, resampler)
    projector = only_projector(model)
    assert isinstance(projector, PerceiverResampler)
    with example_store(section) as store:
        examples, skipped = caption_examples(pairs, processor, params.max_length, store)
    check_skipped(skipped, len(examples), params, section)
    words = prepare(model, examples, resampler.words)
    objective: Objective
    collator: Callable[[Sequence[Example]], dict[str, Tensor]]
    if resampler.words is None:
        objective, collator = CausalLMObjective(model), collate
    else:
        objective, collator = BagOfWordsObjective(model), bag_of_words_collator(words, resampler.words, examples)

    def write(directory: Path) -> None:
        directory.mkdir()
        save_projector(projector, directory)

    metrics = run_training(
        section,
        objective,
        examples,
        params,
        vlm,
        write,
        out,
        resampler=resampler,
        collator=collator,
        on_step=None if on_step is None else lambda step: on_step(step, projector),
    )
    return metrics | {"words": len(words), "skipped": skipped} | hub_parts(vlm, resampler)
