"""Settings of the language model and of what it writes."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSource:
    """Section `language_model`: which package of packages.lock.yaml (its section `models`), which GGUF file in it."""

    package: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are drawn: from the `top_k` likeliest that hold `top_p`; at temperature 0 the likeliest."""

    temperature: Annotated[float, Within(0, 5)]
    top_p: Annotated[float, Within(0.01, 1)]  # share of probability
    top_k: Annotated[int, Within(1, 1000)]
    max_new_tokens: Annotated[int, Within(1, 4096)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model behind an OpenAI-compatible server; where that is stands in the environment (language/server.py)."""

    model: str  # as the server calls it, pinned if it can be
    extra: dict[str, float]  # further numbers in each request, e.g. top_k, repetition_penalty, presence_penalty
