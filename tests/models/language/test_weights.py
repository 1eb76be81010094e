from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthpairs.core.storage import file_sha256
from synthpairs.models.language.model import load
from synthpairs.models.language.params import GgufSource
from synthpairs.models.language.weights import unpack_gguf


def save_gguf(path):
    """A one-layer Llama."""
    rng, width, words = np.random.default_rng(0), 32, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("A title")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ messages[0]['content'] }}")
    shapes = {"token_embd": (len(words), width), "output_norm": (width,)}
    block = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32), "attn_norm": (32,)}
    block |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64), "ffn_norm": (32,)}
    for name, shape in (shapes | {f"blk.0.{name}": shape for name, shape in block.items()}).items():
        tensor = rng.normal(size=shape).astype(np.float32)
        packed = len(shape) > 1
        data = gguf.quants.quantize(tensor, gguf.GGMLQuantizationType.Q4_1) if packed else tensor
        writer.add_tensor(f"{name}.weight", data, raw_dtype=gguf.GGMLQuantizationType.Q4_1 if packed else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_becomes_the_same_directory_twice(tmp_path, pin):
    save_gguf(tmp_path / "tiny.gguf")
    pin("models", "tiny", {"tiny/tiny.gguf": (tmp_path / "tiny.gguf").read_bytes()})
    source = GgufSource(package="tiny", file="tiny.gguf")
    assert unpack_gguf(source, Path("one"))["vocabulary"] == 6
    unpack_gguf(source, Path("two"))
    assert file_sha256(Path("one")) == file_sha256(Path("two"))
    model, tokenizer = AutoModelForCausalLM.from_pretrained("one"), AutoTokenizer.from_pretrained("one")
    assert model.dtype == torch.bfloat16
    assert getattr(model.config, "quantization_config", None) is None
    assert tokenizer("ab").input_ids == [5]
    assert tokenizer.chat_template
    with pytest.raises(ValueError, match=r"language_model\.package must be one .*tiny"):
        unpack_gguf(GgufSource(package="other", file="tiny.gguf"), Path("three"))
    with pytest.raises(FileNotFoundError, match="dvc repro language_model"):
        load(tmp_path / "three")
