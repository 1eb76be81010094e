"""Arms: the training sets whose models are compared with each other, as params.yaml lists them, and where the models lie.

`arms` lists those of image-caption pairs (SynthVLM), `token_arms` those of pairs of VQ tokens and captions (Synth2).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from synthpairs.core.config import load_params

Arm = Literal["selected", "random", "real", "all-real"]
TokenArm = Literal["real-tokens", "genpair", "synthetic"]
UNTRAINED = "untrained"  # the model before any training: a baseline in the benchmarks
MODELS = Path("models/vlm")  # one folder for each arm


def split_models(models: Sequence[str], arms: Sequence[str]) -> tuple[list[str], list[str]]:
    """Model names to use, and those of arms outside `arms`, whose folders an earlier run may have left behind."""
    absent = {str(MODELS / arm / "finetuned") for arm in (*get_args(Arm), *get_args(TokenArm)) if arm not in arms}
    return [name for name in models if name not in absent], [name for name in models if name in absent]


def chosen_arm(arguments: Sequence[str], section: Literal["arms", "token_arms"]) -> str:
    """The arm that a stage's command line names; ValueError unless it is in this list of params.yaml."""
    arms: Sequence[str] = load_params(list[Arm], section) if section == "arms" else load_params(list[TokenArm], section)
    if len(arguments) != 1 or arguments[0] not in arms:
        got = " ".join(arguments) or "none"
        raise ValueError(f"name one arm of {', '.join(arms)} (params.yaml: {section}), got {got}")
    return arguments[0]
