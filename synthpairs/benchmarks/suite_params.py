"""The section `suite` of params.yaml: what a model is asked beside the five benchmarks of `tasks`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.params import Within

CaptionMetric = Literal["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Section `suite`: all of it is empty at desk scale."""

    pictures: list[str]  # tasks of lmms-eval, which runs in an environment of its own
    text: list[str]  # tasks of lm-eval, without pictures
    shots: Annotated[int, Within(0, 64)]  # solved examples before each question of `text`
    limit: Annotated[int, Within(1)] | None  # first questions of each task; null: all of them
    include: str | None  # directory of further task definitions of lmms-eval
    captions: list[CaptionMetric]  # of desk_caption, beside CIDEr-D
