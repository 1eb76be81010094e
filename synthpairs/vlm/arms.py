"""Arms: the training sets whose models are compared, a short closed list in params.yaml."""

from collections.abc import Sequence
from pathlib import Path

from synthpairs.params import load_params

MODELS = Path("models/vlm")


def chosen_arm(arguments: Sequence[str]) -> str:
    """The one arm that a stage was started for; ValueError lists the arms that there are."""
    arms: list[str] = load_params(list[str], "arms")
    if len(arguments) != 1 or arguments[0] not in arms:
        raise ValueError(f"name one arm of {', '.join(arms)} (params.yaml: arms), got {' '.join(arguments) or 'none'}")
    return arguments[0]
