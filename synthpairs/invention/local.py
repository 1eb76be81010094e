"""Captions from a language model in this process."""

from collections.abc import Sequence
from pathlib import Path

from synthpairs.invention.params import Local
from synthpairs.invention.prompts import Request
from synthpairs.language.model import load
from synthpairs.language.params import Sampling
from synthpairs.language.sampling import generate
from synthpairs.language.server import Reply
from synthpairs.pieces import in_pieces
from synthpairs.storage import WorkStore


def local_replies(
    requests: Sequence[Request], folder: Path, local: Local, sampling: Sampling, model: str, store: WorkStore
) -> list[Reply]:
    """One reply per request, in order, from the model in `folder`, to be called `model`. Finished pieces come from the store."""
    lm = load(folder)
    chats = {messages: lm.chat(messages) for messages in {request.messages for request in requests}}

    def write(piece: Sequence[tuple[str, int]]) -> list[str]:
        prompts, seeds = zip(*piece, strict=True)
        return generate(lm, prompts, seeds, sampling, local.batch, local.repetition_penalty)

    asked = [(chats[request.messages], request.seed) for request in requests]
    texts = in_pieces(store, "invent", asked, write)
    # A text has at most as many tokens as were drawn: rarely it can be said in fewer, and then a cut goes unnoticed.
    return [Reply(text, model, cut=len(lm.ids(text)) >= sampling.max_new_tokens) for text in texts]
