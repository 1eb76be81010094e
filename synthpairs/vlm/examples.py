"""Training examples: a picture, a prompt, and the text that is learnt. What cannot be learnt from is counted, by reason."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaProcessor

from synthpairs.vlm.model import IMAGE_TOKEN, picture_tokens

IGNORED = -100  # label of a position that is not learnt


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence: `ids` from `start` on are learnt. `pixels` [3, side, side] is the eye's input, None without a picture.

    Pixels are bfloat16 because the eye is.
    """

    ids: list[int]
    start: int
    pixels: Tensor | None


def caption_examples(
    pairs: Iterable[tuple[str, str, Image.Image]], processor: LlavaProcessor, max_tokens: int
) -> tuple[list[Example], dict[str, int]]:
    """LLaVA's template "plain" for (key, caption, picture): the picture, then the caption and a line end, which are learnt."""
    maker = _Maker(processor, max_tokens)
    for _, text, picture in pairs:
        maker.add(IMAGE_TOKEN, text, "\n", picture)
    return maker.examples, maker.counts()


def instruction_examples(
    rows: pd.DataFrame, processor: LlavaProcessor, max_tokens: int
) -> tuple[list[Example], dict[str, int]]:
    """Conversations of one turn from rows of INSTRUCTIONS, in the chat template; the answer and its end are learnt."""
    maker = _Maker(processor, max_tokens)
    for row in rows[["question", "answer", "picture"]].to_dict("records"):
        picture = row["picture"] if isinstance(row["picture"], bytes) else None
        content = [{"type": "text", "text": row["question"] or ""}]
        if picture is not None:
            content.insert(0, {"type": "image"})
        turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
        prompt = str(processor.apply_chat_template(turns, add_generation_prompt=True))
        maker.add(prompt, row["answer"], processor.tokenizer.eos_token, picture, asked=row["question"] or "")
    return maker.examples, maker.counts()


class _Maker:
    """Turns prompts and answers into examples one by one and counts what it leaves out, by reason."""

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
        self, prompt: str, answer: str | None, end: str, picture: Image.Image | bytes | None, asked: str = ""
    ) -> None:
        """Add one example; `asked` is the part of the prompt that somebody wrote."""
        answer = (answer or "").strip()
        if not answer:
            self._skipped["empty"] += 1
            return
        if any(token in text for token in self._control for text in (asked, answer)):
            self._skipped["control_token"] += 1  # it would end a turn, or stand for a picture that is not there
            return
        tokenizer = self._processor.tokenizer
        ids = list(tokenizer(prompt.replace(IMAGE_TOKEN, self._picture)).input_ids)
        start = len(ids)
        ids += tokenizer(answer + end, add_special_tokens=False).input_ids
        if len(ids) > self._max_tokens:
            self._skipped["too_long"] += 1
            return
        try:
            pixels = None if picture is None else self._pixels(picture)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for broken files
            self._skipped["unreadable_picture"] += 1
            return
        self.examples.append(Example(ids, start, pixels))

    def _pixels(self, picture: Image.Image | bytes) -> Tensor:
        image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
        pixels = self._processor.image_processor(image.convert("RGB"), return_tensors="pt").pixel_values[0]
        return pixels.to(torch.bfloat16)


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 over everything in the examples, in order."""
    total = hashlib.sha256()
    for example in examples:
        total.update(f"{example.ids} {example.start}\n".encode())
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
        labels[row, example.start : length] = input_ids[row, example.start : length]
    pictures = [example.pixels for example in examples if example.pixels is not None]
    return {"input_ids": input_ids, "labels": labels} | ({"pixel_values": torch.stack(pictures)} if pictures else {})
