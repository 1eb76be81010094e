"""One training from its examples to its finished directory, resumed where it was killed."""

import contextlib
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, file_sha256
from synthpairs.runtime.launch import leads
from synthpairs.vlm.examples import Example, Examples, collate, fingerprint
from synthpairs.vlm.model import part_names
from synthpairs.vlm.params import Resampler, Training, Vlm
from synthpairs.vlm.parts import part_identity
from synthpairs.vlm.training import Trained, order, train

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What is trained, on what, and all that the result depends on."""

    stage: str  # names the work store
    learner: Trained
    examples: Examples
    params: Training
    vlm: Vlm
    resampler: Resampler | None = None  # of the Synth2 route
    aligned: Path | None = None  # what the training starts from
    projector_rate: float | None = None  # highest learning rate of the projector; None: that of the rest
    collator: Callable[[Sequence[Example]], dict[str, Tensor]] = collate  # see train
    watch: Callable[[int], object] | None = None  # see train

    def fingerprint(self) -> str:
        """Of all data and params that shape the weights."""
        parts = [part_identity(name, key) for key, name in part_names(self.vlm, self.resampler).items()]
        parts += [file_sha256(self.aligned)] if self.aligned else []
        sections = [asdict(section) for section in (self.vlm, self.params, self.resampler) if section]
        return digest(sections, parts, fingerprint(self.examples))


def fit(task: Fit, write: Callable[[Path], None], out: Path) -> dict[str, Any]:
    """Train in a work store of these very inputs, params and code, then move what `write` wrote to `out`; returns metrics.

    Of several processes all train, and the first writes.
    """
    store = WorkStore(task.stage, task.fingerprint())
    with store.locked() if leads() else contextlib.nullcontext():
        losses = train(task.learner, task.examples, task.params, store.path,
                       task.projector_rate, task.collator, task.watch)  # fmt: skip
        if leads():
            finished = store.path / "finished"
            shutil.rmtree(finished, ignore_errors=True)
            write(finished)
            shutil.rmtree(out, ignore_errors=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(finished, out)
            store.discard()
    return _metrics(task.examples, task.params, losses)


def _metrics(examples: Examples, params: Training, losses: Sequence[float]) -> dict[str, Any]:
    if not losses:
        return {"pairs": len(examples), "steps": 0}
    lengths, learnt = examples.lengths, examples.learnt
    trained = order(lengths, params)
    tenth = max(1, len(losses) // 10)  # single batches are too noisy to compare
    return {
        "pairs": len(examples),
        "steps": len(losses),
        "epochs": round(len(trained) / len(examples), 3),
        "tokens": sum(lengths[index] for index in trained),
        "tokens_learnt": sum(learnt[index] for index in trained),
        "loss_first": round(sum(losses[:tenth]) / tenth, 3),
        "loss_last": round(sum(losses[-tenth:]) / tenth, 3),
    }


def check_skipped(skipped: dict[str, int], kept: int, params: Training, section: str) -> None:
    """Log what is left out; ValueError when that is more than `params` allow."""
    left_out = sum(skipped.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in skipped.items() if count)
    if left_out:
        log.warning("%d of %d examples are left out: %s", left_out, kept + left_out, reasons)
    if left_out > params.max_skipped * (kept + left_out):
        raise ValueError(
            f"{left_out} of {kept + left_out} examples cannot be trained on ({reasons}); params.yaml: "
            f"{section}.max_skipped allows a share of {params.max_skipped}, {section}.max_tokens is {params.max_tokens}"
        )
