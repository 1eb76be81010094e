"""Arms: the training sets whose models are compared, two short closed lists in params.yaml, and the model of no arm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from synthpairs.core.config import load_params

Arm = Literal["selected", "random", "real"]  # of pictures
CodeArm = Literal["real-codes", "genpair", "synthetic"]  # of VQ codes: the Synth2 route
UNTRAINED = "untrained"  # stands beside the arms in the benchmarks: the model that has seen no pairs
MODELS = Path("models/vlm")


def split_models(models: Sequence[str], arms: Sequence[str]) -> tuple[list[str], list[str]]:
    """Model names, and apart from them those of arms that are not among `arms`, so that nobody trains them.

    What an earlier run has left in such a directory is no part of this one.
    """
    absent = {str(MODELS / arm / "finetuned") for arm in (*get_args(Arm), *get_args(CodeArm)) if arm not in arms}
    return [name for name in models if name not in absent], [name for name in models if name in absent]


def chosen_arm(arguments: Sequence[str], *sections: Literal["arms", "code_arms"]) -> str:
    """The one arm of these lists of params.yaml that a stage was started for; ValueError lists the arms that there are."""
    arms: list[str] = []
    for section in sections:
        arms += load_params(list[Arm], section) if section == "arms" else load_params(list[CodeArm], section)
    if len(arguments) != 1 or arguments[0] not in arms:
        where = f"params.yaml: {', '.join(sections)}"
        raise ValueError(f"name one arm of {', '.join(arms)} ({where}), got {' '.join(arguments) or 'none'}")
    return arguments[0]
