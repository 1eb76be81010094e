"""Arms: the training sets whose models are compared, a short closed list in params.yaml, and the model of no arm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from synthpairs.params import load_params

Arm = Literal["selected", "random", "real"]
UNTRAINED = "untrained"  # stands beside the arms in the benchmarks: the model that has seen no pairs
MODELS = Path("models/vlm")


def chosen_arm(arguments: Sequence[str]) -> str:
    """The one arm that a stage was started for; ValueError lists the arms that there are."""
    arms = load_params(list[Arm], "arms")
    if len(arguments) != 1 or arguments[0] not in arms:
        raise ValueError(f"name one arm of {', '.join(arms)} (params.yaml: arms), got {' '.join(arguments) or 'none'}")
    return arguments[0]
