import importlib.util
import re
import sys

import pytest
import torch

from synthpairs.core.determinism import compute_dtype
from synthpairs.core.storage import file_sha256
from synthpairs.vlm.adapters import adapt, check_quantizer, merged
from synthpairs.vlm.llava import finetune
from synthpairs.vlm.model import assemble, load
from synthpairs.vlm.params import Lora
from synthpairs.vlm.sharding import layers_to_shard
from tests.vlm.conftest import changed_weights

QLORA = Lora(rank=2, alpha=4.0, dropout=0.5, quantize="nf4")
NEEDS_BITSANDBYTES = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `quantize` is not installed"
)


@pytest.fixture
def params(tuning):
    return tuning(epochs=3.0, micro_batch=2, lora=QLORA)


@pytest.fixture
def quantised(parts):
    model = assemble(parts)[0]
    adapt(model, QLORA, 0)
    return model


def test_without_its_package_the_param_is_named(parts, instructions, params, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    message = r"params.yaml: finetune.lora.quantize: nf4 needs .*: pip install 'bitsandbytes>=0\.49', or set it to null"
    with pytest.raises(ValueError, match=message):
        finetune(instructions(4), tmp_path / "aligned", parts, params, tmp_path / "out")
    check_quantizer(Lora(rank=2, alpha=4.0, dropout=0.5, quantize=None), "finetune")


@NEEDS_BITSANDBYTES
def test_a_quantised_training_writes_a_model_like_any_other(parts, instructions, params, tmp_path, aligned):
    metrics = finetune(instructions(40), aligned, parts, params, tmp_path / "finetuned")
    assert metrics["loss_last"] < metrics["loss_first"]
    changed = changed_weights(parts, tmp_path)
    assert any("multi_modal_projector" in name for name in changed)
    assert all(re.search(r"projector|layers\.\d\.(self_attn|mlp)", name) for name in changed)
    for part in ("self_attn.q_proj", "mlp.down_proj"):
        assert f"language_model.model.layers.0.{part}.weight" in changed
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        assert (tmp_path / "finetuned" / name).read_bytes() == (tmp_path / "untrained" / name).read_bytes()
    assert load(tmp_path / "finetuned")[0].dtype == compute_dtype()
    assert finetune(instructions(40), aligned, parts, params, tmp_path / "again") == metrics
    assert file_sha256(tmp_path / "again") == file_sha256(tmp_path / "finetuned")


@NEEDS_BITSANDBYTES
def test_adapters_are_merged_into_weights_of_full_precision(parts, quantised):
    """Untrained adapters add nothing, so what comes back is the model before, and not its four bits."""
    weight = quantised.model.language_model.base_model.model.layers[0].mlp.up_proj.base_layer.weight
    assert (weight.dtype, weight.numel(), weight.requires_grad) == (torch.uint8, 24 * 48 // 2, False)
    trained = {name for name, weight in quantised.model.language_model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    before = assemble(parts)[0]
    after = dict(merged(quantised, QLORA, lambda: assemble(parts)[0]).named_parameters())
    assert all(torch.equal(after[name], weight.to(after[name].dtype)) for name, weight in before.named_parameters())


@NEEDS_BITSANDBYTES
def test_a_quantised_model_is_not_divided(quantised):
    with pytest.raises(ValueError, match=r"SYNTHPAIRS_FSDP=on divides no quantised model: .*finetune\.lora\.quantize"):
        layers_to_shard(quantised)
