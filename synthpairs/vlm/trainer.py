"""The HF Trainer as trainings here use it: with the examples in an order of ours, and with an optimiser of ours."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from transformers import Trainer

from synthpairs.vlm.examples import Example, Examples


class OwnTrainer(Trainer):
    """With an optimiser of our own, which it may not be given where it divides the model before."""

    optimizer: torch.optim.Optimizer | None
    optimizer_of: Callable[[nn.Module], torch.optim.Optimizer]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """That of the model, divided or whole."""
        if self.optimizer is None:
            self.optimizer = self.optimizer_of(self.model if model is None else model)
        return self.optimizer


def adamw(learner: nn.Module, rate: float, projector_rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW for what is trained; weight decay, if any, on matrices only, as the Trainer's own.

    The projector's learning rate may be another than the rest's. Order and number of the groups are part of a checkpoint.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, weight in learner.named_parameters():
        if weight.requires_grad:
            groups.setdefault(("multi_modal_projector" in name, weight.ndim > 1), []).append(weight)
    return torch.optim.AdamW(
        [
            {
                "params": weights,
                "lr": projector_rate if projector else rate,
                "weight_decay": decay if matrices else 0.0,
            }
            for (projector, matrices), weights in groups.items()
        ],
        fused=True,
    )


class Placed(torch.utils.data.Dataset):
    """The examples in their order of training: `places` says which comes when, and may name one several times."""

    def __init__(self, examples: Examples, places: Sequence[int]) -> None:
        self._examples, self._places = examples, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Example:
        return self._examples[self._places[index]]
