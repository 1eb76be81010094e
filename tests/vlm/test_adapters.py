import sys

import pytest
import torch

from synthpairs.vlm.adapters import adapt, check_quantizer, merged
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import assemble
from synthpairs.vlm.sharding import layers_to_shard
from tests.vlm.test_finetuning import LORA, NEEDS_BITSANDBYTES, QLORA


def test_without_bitsandbytes_the_param_is_named(parts, instructions, tuning, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ValueError, match=r"params.yaml: finetune.lora.quantize: nf4 needs .*bitsandbytes"):
        finetune(instructions(4), tmp_path / "pretrained", parts, tuning(lora=QLORA), tmp_path / "out")
    check_quantizer(LORA, "finetune")


@NEEDS_BITSANDBYTES
def test_adapters_are_merged_into_weights_of_full_precision(parts):
    """Untrained adapters add nothing, so the result is the model before quantisation."""
    quantised = assemble(parts)[0]
    adapt(quantised, QLORA, range(1), 0)
    with pytest.raises(ValueError, match=r"SYNTHPAIRS_FSDP=on shards no quantised model: .*finetune\.lora\.quantize"):
        layers_to_shard(quantised, "finetune")
    weight = quantised.model.language_model.base_model.model.layers[0].mlp.up_proj.base_layer.weight
    assert (weight.dtype, weight.numel(), weight.requires_grad) == (torch.uint8, 24 * 48 // 2, False)
    trained = {name for name, weight in quantised.model.language_model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    before = assemble(parts)[0]
    after = dict(merged(quantised, QLORA, range(1), lambda: assemble(parts)[0]).named_parameters())
    assert all(torch.equal(after[name], weight.to(after[name].dtype)) for name, weight in before.named_parameters())
