"""Section `preference` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within
from synthpairs.models.language.params import Served


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJudges:
    """Vision-language models in this process, which score one image at a time."""

    models: list[str]  # directories of finished LLaVA models, or OWNER/NAME@REVISION of the hub
    question: str  # with {caption}; an image's score is P(yes)
    margin: Annotated[float, Within(0, 1)]  # of P(yes), up to which an image pair is a tie
    batch_size: Annotated[int, Within(1, 4096)]  # images per batch

    def __post_init__(self) -> None:
        where = "params.yaml: preference.local"
        if "{caption}" not in self.question:
            raise ValueError(f"{where}.question must hold {{caption}}, got {self.question!r}")
        if not self.models or len(set(self.models)) < len(self.models):
            raise ValueError(f"{where}.models must be different models, at least one; got {self.models}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Section `preference`: generated against real images of the same captions."""

    seed: Seed  # of the draw, of order and sides on the vote page, and of the bootstrap
    count: Annotated[int, Within(2)]  # image pairs at most
    synthetic: Literal["selected", "random"]  # the arm compared with the arm `real`
    image_size: Annotated[int, Within(16, 4096)]  # pixels of an image's longer side at most, for judges and people
    engine: Literal["local", "server"]
    local: LocalJudges
    server: Served  # sees both images at once, in both orders
    max_failed_share: Annotated[float, Within(0, 1)]  # of a server's requests, above which the stage fails
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind every interval
