"""Training examples: token ids, labels and a picture. What cannot be trained on is skipped and counted by reason."""

import hashlib
import logging
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import LlavaProcessor

from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore
from synthpairs.models.language.chat import control_tokens, has_control_token
from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.runtime.launch import is_main_process
from synthpairs.vlm.model import IMAGE_TOKEN, picture_tokens
from synthpairs.vlm.params import Training
from synthpairs.vlm.pictures import Picture, Source, picture_digests, source_identity

log = logging.getLogger(__name__)
IGNORED = -100  # label of a token without loss
CHUNK = 1024  # examples that are tokenised, and their pictures checked, at a time
ROLES = {"user": "question", "assistant": "answer"}  # role of the chat template: key of a turn
_AFTER_IMAGE = re.compile(f"(?<={IMAGE_TOKEN})(?!{IMAGE_TOKEN})")
Segments = list[tuple[str, bool]]  # consecutive parts of a text, and whether each is learnt


class Conversation(NamedTuple):
    """Questions with their answers, and the picture before one of the questions."""

    turns: list[dict[str, str | None]]  # as in INSTRUCTIONS
    picture: Source | None
    picture_turn: int = 0  # index of that question
    where: str = "a conversation"  # file and record
    fault: str | None = None  # the reason to skip it, if there is one


class Row(NamedTuple):
    """What an example is made of."""

    where: str  # what messages call it
    content: Any  # a JSON value that a Template takes
    picture: Source | TokenPicture | None
    fault: str | None = None  # the reason to skip it, if there is one


Template = Callable[[Any], tuple[Segments, list[str]]]  # segments, and the texts that were put into them


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence: `labels` are the ids that are learnt, IGNORED elsewhere.

    VQ tokens as `picture` become codebook vectors, which `synthpairs.vlm.vq_tower` takes in place of pixels.
    """

    ids: list[int]
    labels: list[int]
    picture: Picture | TokenPicture | None

    @property
    def pixels(self) -> Tensor | None:
        """The vision tower's input, bfloat16 [3, side, side] or codebook vectors, made on access; None without a picture."""
        return None if self.picture is None else self.picture.pixels()


class Examples(Sequence[Example]):
    """Sequence of Example held in five bytes a token."""

    def __init__(self) -> None:
        self._ids, self._learnt, self._starts = array("i"), bytearray(), array("q", [0])
        self._pictures: list[Picture | TokenPicture | None] = []

    def add(self, ids: Sequence[int], learnt: Sequence[int], picture: Picture | TokenPicture | None) -> None:
        """Append an example; `learnt` is 1 for each token with loss, else 0."""
        self._ids.extend(ids)
        self._learnt.extend(learnt)
        self._starts.append(len(self._ids))
        self._pictures.append(picture)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Example:  # type: ignore[override]  # no slices
        index = range(len(self))[index]
        part = slice(self._starts[index], self._starts[index + 1])
        ids = self._ids[part].tolist()
        labels = [token if learnt else IGNORED for token, learnt in zip(ids, self._learnt[part], strict=True)]
        return Example(ids, labels, self._pictures[index])

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each example."""
        return np.diff(self._starts).tolist()

    @property
    def learnt(self) -> list[int]:
        """Number of learnt tokens of each example."""
        before = np.concatenate([[0], np.cumsum(np.frombuffer(self._learnt, np.uint8), dtype=np.int64)])
        return np.diff(before[np.asarray(self._starts)]).tolist()


def example_store(section: str) -> AbstractContextManager[WorkStore]:
    """Cache of a training's tokenised examples; a run that tokenises makes others wait, which then read what it made."""
    store = WorkStore(section, "examples")
    return store.locked(wait=True) if is_main_process() else nullcontext(store)


def caption_examples(
    pairs: Iterable[tuple[str, str, Source | TokenPicture]],
    processor: LlavaProcessor,
    max_tokens: int,
    store: WorkStore | None = None,
) -> tuple[Examples, dict[str, int]]:
    """Examples of (key, caption, picture) in LLaVA's template "plain": the picture, then caption and line end, learnt.

    Examples are cut after `max_tokens`, and skipped where nothing is left to learn. Returns the number of skipped pairs by
    reason too. What `store` holds of an earlier run is not tokenised again.
    """
    rows = (Row(f"pair {key}", (caption or "").strip(), picture) for key, caption, picture in pairs)
    return _examples(
        rows, lambda text: ([(IMAGE_TOKEN, False), (f"{text}\n", True)], [text]), processor, max_tokens, store
    )


def instruction_examples(
    rows: pd.DataFrame, processor: LlavaProcessor, max_tokens: int, store: WorkStore | None = None
) -> tuple[Examples, dict[str, int]]:
    """Examples of rows of INSTRUCTIONS, in the chat template; every answer and its end token are learnt."""
    pictures = (picture if isinstance(picture, bytes) else None for picture in rows["picture"])
    turns = ([] if turns is None else list(turns) for turns in rows["turns"])
    numbered = enumerate(zip(turns, pictures, strict=True), start=1)
    conversations = (Conversation(*row, where=f"row {number} of the instructions") for number, row in numbered)
    return conversation_examples(conversations, processor, max_tokens, store)


def conversation_examples(
    conversations: Iterable[Conversation], processor: LlavaProcessor, max_tokens: int, store: WorkStore | None = None
) -> tuple[Examples, dict[str, int]]:
    """As `instruction_examples`, of conversations."""

    def template(content: Any) -> tuple[Segments, list[str]]:
        turns, pictured, picture_turn = content
        texts = [(turn[role] or "").strip() for turn in turns for role in ROLES.values()]
        return chat_segments(turns, pictured, processor, picture_turn), texts

    rows = (
        Row(one.where, [one.turns, one.picture is not None, one.picture_turn], one.picture, one.fault)
        for one in conversations
    )
    return _examples(rows, template, processor, max_tokens, store)


def chat_segments(
    turns: Sequence[dict[str, str | None]], pictured: bool, processor: LlavaProcessor, picture_turn: int = 0
) -> Segments:
    """A conversation in the chat template; answers with their end token are learnt, a picture precedes one of the questions."""
    messages: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": (turn[key] or "").strip()}]}
        for turn in turns
        for role, key in ROLES.items()
    ]
    if pictured and messages:
        messages[len(ROLES) * picture_turn]["content"].insert(0, {"type": "image"})
    whole = str(processor.apply_chat_template(messages)) if messages else ""
    eos, segments, done = processor.tokenizer.eos_token, [], 0
    for answer in range(1, len(messages), 2):
        start = len(str(processor.apply_chat_template(messages[:answer], add_generation_prompt=True)))
        end = whole.index(eos, start) + len(eos)
        segments += [(whole[done:start], False), (whole[start:end], True)]
        done = end
    return segments


def tokenize_segments(segments: Segments, processor: LlavaProcessor) -> tuple[list[int], list[int]]:
    """Token ids and labels of a text.

    Segments are tokenised together, since SentencePiece marks the beginning of each text that it gets. What follows an image
    is one of its own, as in LLaVA.
    """
    text = "".join(part for part, _ in segments)
    learnt = [is_learnt for part, is_learnt in segments for _ in part]  # by character
    ids: list[int] = []
    labels: list[int] = []
    start = 0
    for piece in _AFTER_IMAGE.split(text):
        encoding = processor.tokenizer(piece, add_special_tokens=start == 0, return_offsets_mapping=True)
        for token, (_, end) in zip(encoding.input_ids, encoding.offset_mapping, strict=True):
            ids.append(token)
            labels.append(token if end and learnt[start + end - 1] else IGNORED)  # the beginning of the text ends at 0
        start += len(piece)
    return ids, labels


def _examples(
    rows: Iterable[Row], template: Template, processor: LlavaProcessor, max_tokens: int, store: WorkStore | None
) -> tuple[Examples, dict[str, int]]:
    """The examples that can be trained on, and the number of skipped ones for each possible reason."""
    skipped = Counter(empty=0, control_token=0, too_long=0, unreadable_picture=0)
    examples, encoder = Examples(), Encoder(template, processor, max_tokens)
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK)):
        encoded = encoder.encode(chunk) if store is None else _cached(chunk, encoder, store)
        for row, one in zip(chunk, encoded, strict=True):
            if isinstance(one, str):
                if not skipped[one]:
                    log.warning("%s is skipped: %s; others are only counted", row.where, one)
                skipped[one] += 1
                continue
            ids, learnt, hashed = one
            if row.picture is None or isinstance(row.picture, TokenPicture):
                examples.add(ids, learnt, row.picture)
            else:
                examples.add(ids, learnt, Picture(row.picture, processor.image_processor, bytes.fromhex(hashed)))
    return examples, dict(skipped)


def _cached(chunk: Sequence[Row], encoder: "Encoder", store: WorkStore) -> list[Any]:
    """What `encoder.encode` returns, computed once: in the main process of a training, while the others wait."""
    inputs = [[row.fault or row.content, source_identity(row.picture)] for row in chunk]
    name = f"{digest(encoder.identity, inputs)}.json"
    while (done := store.get_json(name, lambda value: len(value) == len(chunk))) is None:
        if is_main_process():
            return store.put_json(name, encoder.encode(chunk))
        time.sleep(0.1)
    return done


class Encoder:
    """Tokenisation of rows in a template; `identity` is of all that it depends on beside the rows."""

    def __init__(self, template: Template, processor: LlavaProcessor, max_tokens: int) -> None:
        self._template, self._processor, self._max_tokens = template, processor, max_tokens
        self._image_tokens = picture_tokens(processor)
        self._control = control_tokens(processor.tokenizer)
        tokenizer = processor.tokenizer.backend_tokenizer.to_str()
        self.identity = digest(tokenizer, processor.chat_template, self._image_tokens, max_tokens)

    def encode(self, rows: Sequence[Row]) -> list[Any]:
        """JSON values: the reason to skip a row, or token ids, which of them are learnt (0 or 1), the picture's SHA-256."""
        sequences = [self._tokenized(row) for row in rows]
        sources = [
            None if isinstance(one, str) or isinstance(row.picture, TokenPicture) else row.picture
            for row, one in zip(rows, sequences, strict=True)
        ]
        encoded: list[Any] = []
        for one, source, hashed in zip(sequences, sources, picture_digests(sources), strict=True):
            unreadable = source is not None and hashed is None
            encoded.append("unreadable_picture" if unreadable else one if isinstance(one, str) else [*one, hashed])
        return encoded

    def _tokenized(self, row: Row) -> str | tuple[list[int], list[int]]:
        if row.fault is not None:
            return row.fault
        segments, texts = self._template(row.content)
        if not texts or not all(texts):
            return "empty"
        if any(has_control_token(text, self._control) for text in texts):
            return "control_token"  # it would end a turn, or stand for a picture that is not there
        ids, labels = tokenize_segments(segments, self._processor)
        image = self._processor.image_token_id
        if image in ids:
            at = slice(ids.index(image), ids.index(image) + 1)
            ids[at], labels[at] = [image] * self._image_tokens, [IGNORED] * self._image_tokens
        ids, learnt = ids[: self._max_tokens], [int(label != IGNORED) for label in labels[: self._max_tokens]]
        # The picture may stand in a later turn.
        if not any(learnt) or (row.picture is not None and ids.count(image) < self._image_tokens):
            return "too_long"
        return ids, learnt


def check_skipped(skipped: dict[str, int], kept: int, params: Training, section: str) -> None:
    """Log the skipped examples; ValueError when they are more than `section` of params.yaml allows."""
    count, total = sum(skipped.values()), kept + sum(skipped.values())
    if not count:
        return
    reasons = ", ".join(f"{reason} {number}" for reason, number in skipped.items() if number)
    log.warning("%d of %d examples are skipped: %s", count, total, reasons)
    if count > params.max_skipped_ratio * total:
        raise ValueError(
            f"{count} of {total} examples cannot be trained on ({reasons}); params.yaml: "
            f"{section}.max_skipped_ratio allows a share of {params.max_skipped_ratio}, "
            f"{section}.max_length is {params.max_length}"
        )


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 over all examples, in order; pictures count by their files' bytes or their VQ tokens."""
    total = hashlib.sha256()
    for example in examples:
        total.update(f"{example.ids} {example.labels}\n".encode())
        if example.picture is not None:
            total.update(example.picture.digest)
    return total.hexdigest()


def pixels_of(examples: Iterable[Example]) -> list[Tensor]:
    """The vision tower's inputs, of the examples that have a picture."""
    return [pixels for example in examples if (pixels := example.pixels) is not None]


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """A batch: `input_ids` and `labels` [row, token], `pixel_values` [picture, 3, side, side] if there are pictures.

    Rows are padded on the right with token 0. No attention mask is needed: attention is causal, and padding has no labels.
    """
    width = max(len(example.ids) for example in examples)
    input_ids = torch.zeros(len(examples), width, dtype=torch.long)
    labels = torch.full((len(examples), width), IGNORED)
    for row, example in enumerate(examples):
        length = len(example.ids)
        input_ids[row, :length] = torch.tensor(example.ids)
        labels[row, :length] = torch.tensor(example.labels)
    pictures = pixels_of(examples)
    return {"input_ids": input_ids, "labels": labels} | ({"pixel_values": torch.stack(pictures)} if pictures else {})
