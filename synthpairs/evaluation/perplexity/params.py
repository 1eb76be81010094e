"""Section `perplexity` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedText:
    """A text in a package of section `texts` of packages.lock.yaml."""

    package: str
    file: str  # suffix of its path


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Section `perplexity`: models and held-out text."""

    models: list[str]  # directories; the first measured is the baseline of the others
    text: PackagedText | None  # null: `path`
    path: str | None  # a UTF-8 file, documents separated by blank lines
    tokens: Annotated[int, Within(16, 10_000_000)]  # of the text at most
    window: Annotated[int, Within(8, 1_000_000)]  # tokens per window; windows do not overlap
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind every interval
    seed: Seed

    def __post_init__(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise ValueError(
                f"params.yaml: perplexity.models must be different models, at least one; got {self.models}"
            )
        if (self.text is None) == (self.path is None):
            raise ValueError("params.yaml: perplexity: set either text, of a package, or path, of a file")
