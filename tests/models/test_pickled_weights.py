"""Models saved as pickles are the same ones as safetensors; a pickle that calls anything is refused."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from transformers import CLIPConfig, CLIPModel, LlamaConfig, LlamaForCausalLM

from synthpairs.__main__ import main
from synthpairs.core.storage import file_sha256
from synthpairs.models import pickled_weights
from synthpairs.models.hub import hub_record, licence, model_folder, require_safetensors
from synthpairs.models.pickled_weights import convert_pickles
from tests.hub import COMMIT

SIZES = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3}
IDS = torch.arange(12).reshape(2, 6)


def llama(folder, shards=1, tied=False):
    """A tiny Llama in float16 as older hub models have it, its weights in so many pickles; returns it."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=40, tie_word_embeddings=tied, **SIZES)).half().eval()
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(b"a vocabulary")
    state = model.state_dict()
    names = (
        [f"pytorch_model-{part + 1:05}-of-{shards:05}.bin" for part in range(shards)]
        if shards > 1
        else ["pytorch_model.bin"]
    )
    for part, name in enumerate(names):
        torch.save({key: state[key] for key in list(state)[part::shards]}, folder / name)
    if shards > 1:
        index = {key: names[place % shards] for place, key in enumerate(state)}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return model


def logits(model):
    with torch.inference_mode():
        return model(IDS).logits


def test_a_hub_model_of_several_pickles(project_root, loopback_hub, capsys):
    root = project_root()
    loopback_hub.models["owner/llama"] = root / "remote"
    model = llama(root / "remote", shards=3)
    name = "owner/llama@v1"
    (root / "remote/pytorch_model.fp16.bin").write_bytes(b"a variant")
    (root / "remote/README.md").write_text("---\nlicense: llama2\n---\n")
    with pytest.raises(
        ValueError, match="run `python -m synthpairs safetensors owner/llama@v1 models/llama` and name"
    ) as caught:
        require_safetensors(model_folder(name, "vlm.llm"), name, "vlm.llm")
    command = str(caught.value).split("`")[1].split()[3:]
    assert main(command) == 0
    assert capsys.readouterr().out == "models/llama: name it in params.yaml in place of owner/llama@v1\n"
    out = root / "models/llama"
    assert {path.name for path in out.iterdir()} == {
        "config.json", "converted_from.json", "model.safetensors", "tokenizer.model",
    }  # fmt: skip
    converted = LlamaForCausalLM.from_pretrained(out, dtype="auto", use_safetensors=True)
    assert converted.dtype == torch.float16
    assert torch.equal(logits(converted), logits(model))
    assert hub_record("models/llama", out) == {"model": name, "commit": COMMIT, "sha256": file_sha256(out)}
    assert licence(name) == "llama2", "while the directory has no card"
    pickles = json.loads((out / "converted_from.json").read_text())["pickles"]
    assert pickles == {path.name: file_sha256(path) for path in sorted((root / "remote").glob("*-of-*.bin"))}
    require_safetensors(out, "models/llama", "vlm.llm")
    assert main(command) == 1
    assert not any(name == "pytorch_model.fp16.bin" for _, name, _ in loopback_hub.fetched)


@pytest.mark.parametrize("tied", [False, True])
def test_tied_weights_and_several_shards(tmp_path, monkeypatch, tied):
    model = llama(tmp_path / "pickles", tied=tied)
    save = pickled_weights.save_torch_state_dict
    monkeypatch.setattr(
        pickled_weights, "save_torch_state_dict", lambda *args, **kw: save(*args, max_shard_size=8000, **kw)
    )
    convert_pickles(str(tmp_path / "pickles"), tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 1
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())["weight_map"]
    assert index.keys() == model.state_dict().keys()  # whether they are tied is for the config to say
    with safe_open(tmp_path / "out" / files[0], "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert torch.equal(logits(LlamaForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")), logits(model))


def test_clip_in_pickles_of_the_oldest_format_and_parts_of_a_pipeline(tmp_path):
    torch.manual_seed(0)
    sizes = SIZES | {"projection_dim": 8}
    model = CLIPModel(
        CLIPConfig(text_config=sizes, vision_config=sizes | {"image_size": 16, "patch_size": 8}, projection_dim=8)
    )
    for folder, name in (("clip", "pytorch_model.bin"), ("clip/vae", "diffusion_pytorch_model.bin")):
        model.config.save_pretrained(tmp_path / folder)
        torch.save(model.state_dict(), tmp_path / folder / name, _use_new_zipfile_serialization=False)
    convert_pickles(str(tmp_path / "clip"), tmp_path / "out")
    assert (tmp_path / "out/vae/diffusion_pytorch_model.safetensors").is_file()
    assert (tmp_path / "out/vae/config.json").is_file()
    converted = CLIPModel.from_pretrained(tmp_path / "out", use_safetensors=True)
    pixels = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        old, new = (one.eval()(input_ids=IDS[:1], pixel_values=pixels) for one in (model, converted))
    assert torch.equal(old.logits_per_image, new.logits_per_image)


class Command:
    """Touches a file when a pickle of it is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_run(project_root, capfd, caplog, zipped):
    root = project_root()
    llama(root / "evil", shards=2)
    weights = {"a": torch.ones(2), "b": Command(root / "ran")}
    torch.save(weights, root / "evil/pytorch_model-00002-of-00002.bin", _use_new_zipfile_serialization=zipped)
    assert main(["safetensors", "evil", "out"]) == 1
    (line,) = caplog.messages[-1:]
    assert line == ("error: evil/pytorch_model-00002-of-00002.bin is not read: it calls posix.system")
    assert "Traceback" not in capfd.readouterr().err
    assert sorted(path.name for path in root.iterdir()) == ["evil", "params.yaml"]


def broken(folder, what):
    weights = folder / "pytorch_model-00001-of-00002.bin"
    if what == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif what == "pointer":
        weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n")
    elif what == "list":
        torch.save([torch.ones(2)], weights)
    elif what == "missing":
        weights.unlink()
    else:
        for path in folder.glob("*.bin"):
            path.unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("cut", "00001-of-00002.bin is not read: it is no whole file of weights .OSError"),
        ("pointer", "it is no whole file of weights .UnpicklingError"),
        ("list", "00001-of-00002.bin is no table of weights by name"),
        ("missing", r"lacks \d+ weights that pytorch_model.bin.index.json lists, first "),
        ("none", "has no pytorch_model.*bin, so there is nothing to convert"),
    ],
)
def test_a_broken_model_is_one_line_and_nothing_is_left(tmp_path, what, message):
    llama(tmp_path / "broken", shards=2)
    broken(tmp_path / "broken", what)
    with pytest.raises((ValueError, OSError), match=message) as caught:
        convert_pickles(str(tmp_path / "broken"), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
