"""Tiny random parts and data for them: a tower of 16 pixels (2 x 2 patches), a two-layer language model, a token per byte."""

import dataclasses
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]
VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
WORDS = ["dog", "snail", "elephant", "on a red ground", "cat"]


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """Section `vlm` with the tiny parts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from synthpairs.vlm.params import Vlm

    root = tmp_path_factory.mktemp("parts")
    _save_tower(root / "tower", 16)
    words = [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    config = LlamaConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        vocab_size=len(words), max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        pad_token_id=2,
    )  # fmt: skip
    llm = LlamaForCausalLM(config)
    llm.to(torch.bfloat16).save_pretrained(root / "llm")
    backend = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.add_special_tokens(CONTROL)
    PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token=CONTROL[0], bos_token=CONTROL[1], eos_token=CONTROL[2], pad_token=CONTROL[2]
    ).save_pretrained(root / "llm")
    return Vlm(
        vision_tower=str(root / "tower"),
        llm=str(root / "llm"),
        num_hidden_layers=None,
        adapter=None,
        vision_feature_layer=-2,
        vision_feature_select="default",
        image_aspect_ratio="crop",
        image_token="<empty_output>",
        chat_template="chatml",
        seed=0,
    )


def vicuna(folder):
    """As lmsys/vicuna-7b-v1.5 is there: a sentencepiece model, and sampling settings that contradict each other."""
    import sentencepiece
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True)
    words = [*WORDS, "USER:", "ASSISTANT:", "what is this ?", "and no", *"0123456789"]
    (folder / "words.txt").write_text("\n".join(" ".join(words[n:] + words[:n]) for n in range(len(words))))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"), model_prefix=str(folder / "tokenizer"), vocab_size=330, hard_vocab_limit=False,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, minloglevel=2,
    )  # fmt: skip
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).vocab_size()
    for name in ("words.txt", "tokenizer.vocab"):
        (folder / name).unlink()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    settings = special | {"tokenizer_class": "LlamaTokenizer", "legacy": False, "model_max_length": 4096}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"add_bos_token": True}))
    sizes = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3}
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = LlamaConfig(vocab_size=vocabulary, max_position_embeddings=4096, **sizes, **ids)
    torch.manual_seed(0)
    save_file(LlamaForCausalLM(config).half().state_dict(), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"architectures": ["LlamaForCausalLM"]}))
    sampling = {"max_length": 4096, "temperature": 0.9, "top_p": 0.6, "_from_model_config": True}
    (folder / "generation_config.json").write_text(json.dumps(ids | sampling))


@pytest.fixture(scope="session")
def narrow(parts, tmp_path_factory):
    """The same with a tower of 8 features: the projector's 24 hidden units can hold a linear map of them."""
    tower = tmp_path_factory.mktemp("narrow") / "tower"
    _save_tower(tower, 8)
    return dataclasses.replace(parts, vision_tower=str(tower))


@pytest.fixture(scope="session")
def resampler(tmp_path_factory):
    """Section `resampler` of a tiny VQ tokenizer: 16-pixel pictures, 2 x 2 VQ tokens, a codebook of 32 x 4 numbers."""
    import torch
    from diffusers import VQModel

    from synthpairs.vlm.params import Resampler

    root = tmp_path_factory.mktemp("coded")
    torch.manual_seed(0)
    vq = VQModel(
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, block_out_channels=[8] * 4,
        latent_channels=4, vq_embed_dim=4, num_vq_embeddings=32, norm_num_groups=4, sample_size=16,
        mid_block_add_attention=False,
    )  # fmt: skip
    torch.nn.init.normal_(vq.quantize.embedding.weight)
    vq.half().save_pretrained(root / "vqvae")
    (root / "transformer").mkdir()
    (root / "transformer/config.json").write_text('{"sample_size": 2}')  # cells in a row of the generator's grid
    return Resampler(tokenizer=str(root), num_latents=6, hidden_size=16, num_heads=2, num_layers=2, words=40)


@pytest.fixture(autouse=True)
def _own_work_store(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "root"))


picture = pytest.fixture(lambda: _picture)  # makes 20-pixel pictures of noise
png = pytest.fixture(lambda: _png)  # the same as PNG


@pytest.fixture
def pairs():
    """Makes (key, caption, picture) with captions of five lengths."""
    return lambda count: [(f"key{number}", WORDS[number % 5], _picture(number)) for number in range(count)]


@pytest.fixture
def instructions():
    """Makes rows of INSTRUCTIONS; every third has no picture, every second has two questions."""
    return lambda count: pd.DataFrame(
        {
            "turns": [
                {"question": f"what is {number}?", "answer": WORDS[number % 5]},
                {"question": "and?", "answer": "no"},
            ][: number % 2 + 1],
            "picture": None if number % 3 == 2 else _png(number),
        }
        for number in range(count)
    )


@pytest.fixture
def training():
    """Values of a section of params.yaml: ten steps over forty examples."""
    return {
        "seed": 3,
        "epochs": 1.0,
        "max_steps": None,
        "batch_size": 4,
        "micro_batch_size": 4,
        "learning_rate": 0.01,
        "warmup_ratio": 0.1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_length": 120,
        "max_skipped_ratio": 0.0,
        "save_steps": 3,
    }


@pytest.fixture
def tuning(training):
    """Makes Finetune params."""
    from synthpairs.vlm.params import Finetune

    values = {
        "projector_learning_rate": None,
        "trainable_layers": None,
        "lora": None,
        "instructions": None,
        "projector_init": None,
    }
    return lambda **changed: Finetune(**training | values | changed)


def _save_tower(directory, width):
    import torch
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    layers = {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = CLIPVisionConfig(hidden_size=width, image_size=16, patch_size=8, **layers)
    CLIPVisionModel(config).half().save_pretrained(directory)
    side, half = {"height": 16, "width": 16}, [0.5] * 3
    processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=side, image_mean=half, image_std=half)
    processor.save_pretrained(directory)


def _picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def processor(parts):
    """The processor of the tiny parts."""
    from synthpairs.vlm.model import assemble

    return assemble(parts)[1]


@pytest.fixture
def launch(tmp_path):
    """Runs a training in processes of its own; returns its losses and metrics, or None where it must fail."""
    import torch

    def run(count, function, *arguments, dies_at=0, fails="", on_cpu=False, **environment):
        call = tmp_path / f"{function}-{count}.call"
        settings = {"function": function, "arguments": arguments, "dies_at": dies_at, "on_cpu": on_cpu}
        call.write_bytes(pickle.dumps(settings))
        # As the run that resumes it: one in this process, or as many as this one.
        threads = torch.get_num_threads() if dies_at and count == 1 else 1
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "tests.vlm.distributed", str(call)], cwd=Path(__file__).parents[2],
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"} | environment,
            capture_output=True, text=True,
        )  # fmt: skip
        if dies_at or fails:
            assert done.returncode != 0
            assert fails in done.stderr
            return None
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(call.with_suffix(".json").read_text())

    return run


def checkpoints():
    """Names of the checkpoints in the work store."""
    return sorted(path.name for path in Path(os.environ["DVC_ROOT"]).glob(".dvc/tmp/work/*/*/*/checkpoint-*"))


def _png(seed):
    out = io.BytesIO()
    _picture(seed).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def pretrained(parts, pairs, training, tmp_path):
    """Directory of a projector trained on a few pairs."""
    from synthpairs.vlm.params import Pretrain
    from synthpairs.vlm.pretraining import pretrain

    pretrain(pairs(8), parts, Pretrain(**training, projector_init=None), tmp_path / "pretrained")
    return tmp_path / "pretrained"


def changed_weights(parts, folder):
    """Names of the weights in `folder`/finetuned that are not those of the untrained model; all are there, in bfloat16."""
    import torch
    from safetensors.torch import load_file

    from synthpairs.vlm.model import write_untrained

    write_untrained(parts, folder / "untrained")
    after, before = (load_file(folder / name / "model.safetensors") for name in ("finetuned", "untrained"))
    assert after.keys() == before.keys()
    assert {weight.dtype for weight in after.values()} == {torch.bfloat16}
    return {name for name in after if not torch.equal(after[name], before[name])}
