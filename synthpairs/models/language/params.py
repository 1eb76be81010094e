"""Params of language models: where they come from and how text is sampled."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSource:
    """Section `language_model`."""

    package: str  # of section `models` of packages.lock.yaml
    file: str  # GGUF file in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Top-k and nucleus sampling; greedy at temperature 0."""

    temperature: Annotated[float, Within(0, 5)]
    top_p: Annotated[float, Within(0.01, 1)]
    top_k: Annotated[int, Within(1, 1000)]
    max_new_tokens: Annotated[int, Within(1, 4096)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model of an OpenAI-compatible server, whose address is in the environment (language/server.py)."""

    model: str  # the server's name of it, with a version if it has one
    extra: dict[str, float]  # further numbers in each request, e.g. top_k, repetition_penalty, presence_penalty
