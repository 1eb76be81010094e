"""One process of a training under torchrun: `python -m tests.vlm.distributed CALL`; writes its losses next to CALL."""

import json
import os
import pickle
import signal
import sys
from pathlib import Path

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from synthpairs.runtime.launch import is_main_process
from synthpairs.vlm import hf_trainer, training
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.pretraining import pretrain

CALL = Path(sys.argv[1])
call = pickle.loads(CALL.read_bytes())
losses = []
train, get_example, init_state = training.train, hf_trainer.OrderedDataset.__getitem__, AcceleratorState.__init__


def recorded(*arguments, **settings):
    losses.append(train(*arguments, **settings))
    return losses[-1]


def killed(self, index):
    if index >= call["dies_at"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return get_example(self, index)


def with_fsdp(self, *arguments, fsdp_plugin=None, **settings):
    """Accelerate allows FSDP2 on accelerators only; it runs on gloo too."""
    init_state(self, *arguments, fsdp_plugin=fsdp_plugin, **settings)
    if fsdp_plugin is not None:
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


training.train = recorded
if call["on_cpu"]:
    AcceleratorState.__init__ = with_fsdp
if call["dies_at"]:
    hf_trainer.OrderedDataset.__getitem__ = killed
metrics = {"pretrain": pretrain, "finetune": finetune}[call["function"]](*call["arguments"])
if is_main_process():
    CALL.with_suffix(".json").write_text(json.dumps({"losses": losses[0], "metrics": metrics}))
