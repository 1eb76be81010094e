"""Settings of the perplexity measurement."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedText:
    """A package of packages.lock.yaml (its section `texts`) and the text in it."""

    package: str
    file: str  # the end of its path


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Section `perplexity`: which models read which text, and how much of it."""

    models: list[str]  # directories; the first that is asked is what the others are compared with
    text: PackagedText | None  # null: `path`
    path: str | None  # a UTF-8 file of one's own, documents parted by blank lines
    tokens: Annotated[int, Within(16, 10_000_000)]  # read at most
    window: Annotated[int, Within(8, 1_000_000)]  # tokens read at once; each is predicted once
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind every interval
    seed: Annotated[int, Within(0)]

    def __post_init__(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ValueError(
                f"params.yaml: perplexity.models must be different models, at least one; got {self.models}"
            )
        if (self.text is None) == (self.path is None):
            raise ValueError("params.yaml: perplexity: give either text, of a package, or path, of a file")
