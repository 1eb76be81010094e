"""One process of a training that torchrun spreads: `torchrun -m tests.vlm.distributed CALL`; writes its losses beside CALL."""

import json
import os
import pickle
import signal
import sys
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from synthpairs.runtime.launch import leads
from synthpairs.vlm import llava, trainer, training

CALL = Path(sys.argv[1])
call = pickle.loads(CALL.read_bytes())
losses = []
train = training.train


def recorded(*arguments, **settings):
    losses.append(train(*arguments, **settings))
    return losses[-1]


def dies(self, index):
    if index >= call["dies_at"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return take(self, index)


whole = AcceleratorState.__init__


def divided(self, *arguments, fsdp_plugin=None, **settings):
    """Accelerate lets FSDP2, which runs on gloo too, be on accelerators only."""
    whole(self, *arguments, fsdp_plugin=fsdp_plugin, **settings)
    if fsdp_plugin is not None:
        if self._mixed_precision != "no":  # as where bfloat16 is not multiplied
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


if call["on_cpu"]:
    AcceleratorState.__init__ = divided
take = trainer.OrderedDataset.__getitem__
if call["dies_at"]:
    trainer.OrderedDataset.__getitem__ = dies
sys.modules["synthpairs.vlm.fitting"].train = recorded
metrics = getattr(llava, call["function"])(*call["arguments"])
if leads():
    CALL.with_suffix(".json").write_text(json.dumps({"losses": losses[0], "metrics": metrics}))
