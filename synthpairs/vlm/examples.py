"""Training examples: a picture, a prompt, and the text that is learnt. What cannot be learnt from is counted, by reason."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaProcessor

from synthpairs.vlm.model import IMAGE_TOKEN, picture_tokens

IGNORED = -100  # label of a position that is not learnt
ROLES = {"user": "question", "assistant": "answer"}  # who says which part of a turn


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence: `labels` are the ids that are learnt, IGNORED elsewhere. `pixels` [3, side, side], None without a picture.

    Pixels, the eye's input, are bfloat16 because the eye is. They may be codebook vectors (`synthpairs.vlm.codes`).
    """

    ids: list[int]
    labels: list[int]
    pixels: Tensor | None


def caption_examples(
    pairs: Iterable[tuple[str, str, Image.Image | np.ndarray]], processor: LlavaProcessor, max_tokens: int
) -> tuple[list[Example], dict[str, int]]:
    """LLaVA's template "plain" for (key, caption, picture): the picture, then the caption and a line end, which are learnt.

    A picture may be given as what the eye would have made of it: codebook vectors [channels, rows, columns].
    """
    maker = _Maker(processor, max_tokens)
    for _, text, picture in pairs:
        text = (text or "").strip()
        maker.add([(IMAGE_TOKEN, False), (f"{text}\n", True)], [text], picture)
    return maker.examples, maker.counts()


def instruction_examples(
    rows: pd.DataFrame, processor: LlavaProcessor, max_tokens: int
) -> tuple[list[Example], dict[str, int]]:
    """Conversations from rows of INSTRUCTIONS, in the chat template; every answer and its end are learnt."""
    maker = _Maker(processor, max_tokens)
    for row in rows[["turns", "picture"]].to_dict("records"):
        picture = row["picture"] if isinstance(row["picture"], bytes) else None
        turns = [] if row["turns"] is None else list(row["turns"])
        said = [(turn[role] or "").strip() for turn in turns for role in ROLES.values()]
        maker.add(conversation(turns, picture is not None, processor), said, picture)
    return maker.examples, maker.counts()


def conversation(
    turns: Sequence[dict[str, str | None]], pictured: bool, processor: LlavaProcessor
) -> list[tuple[str, bool]]:
    """Questions and answers written in the chat template, in pieces, and of each whether it is learnt.

    Learnt are answers up to the token that ends them. A picture stands before the first question.
    """
    messages: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": (turn[key] or "").strip()}]}
        for turn in turns
        for role, key in ROLES.items()
    ]
    if pictured and messages:
        messages[0]["content"].insert(0, {"type": "image"})
    written = str(processor.apply_chat_template(messages)) if messages else ""
    pieces, done = [], 0
    for answer in range(1, len(messages), 2):
        start = len(str(processor.apply_chat_template(messages[:answer], add_generation_prompt=True)))
        end = written.index(processor.tokenizer.eos_token, start) + len(processor.tokenizer.eos_token)
        pieces += [(written[done:start], False), (written[start:end], True)]
        done = end
    return pieces


def written(pieces: Sequence[tuple[str, bool]], processor: LlavaProcessor) -> tuple[list[int], list[int]]:
    """Ids and labels of pieces of text, of each of which is said whether it is learnt."""
    ids: list[int] = []
    labels: list[int] = []
    for number, (text, learnt) in enumerate(pieces):
        added = processor.tokenizer(text, add_special_tokens=number == 0).input_ids
        ids += added
        labels += added if learnt else [IGNORED] * len(added)
    return ids, labels


class _Maker:
    """Turns pieces of text into examples one by one and counts what it leaves out, by reason."""

    def __init__(self, processor: LlavaProcessor, max_tokens: int) -> None:
        self.examples: list[Example] = []
        self._skipped: Counter[str] = Counter()
        self._processor, self._max_tokens = processor, max_tokens
        self._picture = IMAGE_TOKEN * picture_tokens(processor)
        self._control = {token.content for token in processor.tokenizer.added_tokens_decoder.values() if token.special}

    def counts(self) -> dict[str, int]:
        """How many were left out for each reason, every reason named."""
        return {
            reason: self._skipped[reason] for reason in ("empty", "control_token", "too_long", "unreadable_picture")
        }

    def add(
        self, pieces: Sequence[tuple[str, bool]], said: Sequence[str], picture: Image.Image | np.ndarray | bytes | None
    ) -> None:
        """Add one example; `said` are the parts of the pieces that somebody wrote."""
        if not said or not all(said):
            self._skipped["empty"] += 1
            return
        if any(token in text for token in self._control for text in said):
            self._skipped["control_token"] += 1  # it would end a turn, or stand for a picture that is not there
            return
        pieces = [(text.replace(IMAGE_TOKEN, self._picture), learnt) for text, learnt in pieces]
        ids, labels = written(pieces, self._processor)
        if len(ids) > self._max_tokens:
            self._skipped["too_long"] += 1
            return
        try:
            pixels = None if picture is None else self._pixels(picture)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for broken files
            self._skipped["unreadable_picture"] += 1
            return
        self.examples.append(Example(ids, labels, pixels))

    def _pixels(self, picture: Image.Image | np.ndarray | bytes) -> Tensor:
        if isinstance(picture, np.ndarray):
            return torch.from_numpy(picture).to(torch.bfloat16)
        image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
        pixels = self._processor.image_processor(image.convert("RGB"), return_tensors="pt").pixel_values[0]
        return pixels.to(torch.bfloat16)


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 over everything in the examples, in order."""
    total = hashlib.sha256()
    for example in examples:
        total.update(f"{example.ids} {example.labels}\n".encode())
        if example.pixels is not None:
            total.update(example.pixels.contiguous().view(torch.int16).numpy().tobytes())
    return total.hexdigest()


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """A batch: `input_ids` and `labels` [row, token], `pixel_values` [picture, 3, side, side] if there are pictures.

    Rows are padded on the right with token 0. No attention mask is needed: attention is causal, so padding behind a row
    reaches nothing in it, and padding has no labels.
    """
    width = max(len(example.ids) for example in examples)
    input_ids = torch.zeros(len(examples), width, dtype=torch.long)
    labels = torch.full((len(examples), width), IGNORED)
    for row, example in enumerate(examples):
        length = len(example.ids)
        input_ids[row, :length] = torch.tensor(example.ids)
        labels[row, :length] = torch.tensor(example.labels)
    pictures = [example.pixels for example in examples if example.pixels is not None]
    return {"input_ids": input_ids, "labels": labels} | ({"pixel_values": torch.stack(pictures)} if pictures else {})
