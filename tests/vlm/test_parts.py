"""Parts from a hub: a whole CLIP as vision tower, a Vicuna as language model, and the errors when one cannot be loaded."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, CLIPConfig, CLIPModel

from synthpairs.core.determinism import compute_dtype
from synthpairs.core.storage import file_sha256
from synthpairs.vlm import parts
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import assemble, load, picture_tokens, write_untrained
from synthpairs.vlm.params import Pretrain, Vlm
from synthpairs.vlm.pretraining import PROJECTOR, pretrain
from tests.vlm.conftest import vicuna

SIDE, PATCH = 24, 2  # 12 x 12 patches; 336 / 14 are 24 x 24
CLIP, VICUNA = "c" * 40, "f" * 40  # commits


def whole_clip(folder):
    """As openai/clip-vit-large-patch14-336 is on the hub: both towers, sizes as numbers, an old class name."""
    torch.manual_seed(0)
    layers = {"intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3}
    vision = layers | {"hidden_size": 16, "image_size": SIDE, "patch_size": PATCH}
    text = layers | {"hidden_size": 8, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=8)).half().save_pretrained(folder)
    size = {"do_resize": True, "size": SIDE, "do_center_crop": True, "crop_size": SIDE, "resample": 3}
    norm = {"do_normalize": True, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
    settings = size | norm | {"feature_extractor_type": "CLIPFeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """Folders of the hub's cache, by model."""
    root = tmp_path_factory.mktemp("hub")
    folders = {"openai/clip": root / "clip/snapshots" / CLIP, "lmsys/vicuna": root / "vicuna/snapshots" / VICUNA}
    whole_clip(folders["openai/clip"])
    vicuna(folders["lmsys/vicuna"])
    return folders


@pytest.fixture
def hub(cached, monkeypatch):
    """A hub that has these models."""
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda model, **_: str(cached[model]))
    for cached_function in (parts.part_folder, parts.part_record):
        cached_function.cache_clear()
    return cached


PAPER = Vlm(
    vision_tower="openai/clip@refs/pr/8",
    llm="lmsys/vicuna@main",
    num_hidden_layers=None,
    adapter=None,
    vision_feature_layer=-2,
    vision_feature_select="default",
    image_aspect_ratio="crop",
    image_token=None,
    chat_template="vicuna",
    seed=0,
)


def test_the_vision_tower_is_the_one_of_the_whole_clip(hub, picture):
    model, processor = assemble(PAPER)
    clip = CLIPModel.from_pretrained(hub["openai/clip"], dtype=torch.bfloat16).to(compute_dtype())
    tower = clip.vision_model.state_dict()
    assert all(torch.equal(weight, tower[name]) for name, weight in model.model.vision_tower.state_dict().items())
    assert picture_tokens(processor) == 12 * 12
    pixels = processor.image_processor(picture(0), return_tensors="pt").pixel_values.to(compute_dtype())
    with torch.no_grad():
        expected = clip.vision_model(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        features = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        assert torch.equal(features, expected)
    whole, cut = (
        model.model.language_model,
        assemble(dataclasses.replace(PAPER, num_hidden_layers=1))[0].model.language_model,
    )
    assert (len(whole.layers), len(cut.layers), cut.config.num_hidden_layers) == (2, 1, 1)
    expected = whole.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in cut.state_dict().items())
    with pytest.raises(ValueError, match=r"params.yaml: vlm.num_hidden_layers must be from 1 to 2, .*got 3"):
        assemble(dataclasses.replace(PAPER, num_hidden_layers=3))


def test_align_finetune_load_and_answer(hub, picture, pairs, instructions, training, tuning, tmp_path):
    unknown = {"licence": "unknown"}  # no card
    records = {
        "vlm.vision_tower": {"model": PAPER.vision_tower, "commit": CLIP, "sha256": file_sha256(hub["openai/clip"])}
        | unknown,
        "vlm.llm": {"model": PAPER.llm, "commit": VICUNA, "sha256": file_sha256(hub["lmsys/vicuna"])} | unknown,
    }
    params = Pretrain(**training | {"max_length": 300, "epochs": 2.0}, projector_init=None)
    pretrained = pretrain(pairs(16), PAPER, params, tmp_path / "pretrained")
    assert pretrained["loss_last"] < pretrained["loss_first"]
    assert pretrained["hub"] == records
    settings = tuning(max_length=300, learning_rate=1e-3)
    tuned = finetune(instructions(8), tmp_path / "pretrained", PAPER, settings, tmp_path / "tuned")
    assert tuned["hub"] == records
    assert tuned["skipped"] == dict.fromkeys(tuned["skipped"], 0)
    model, processor = load(tmp_path / "tuned")
    inputs = processor(text="USER: <image>\nwhat is this? ASSISTANT:", images=picture(0), return_tensors="pt")
    answer = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert answer.shape[1] > inputs.input_ids.shape[1]
    local = dataclasses.replace(PAPER, vision_tower=str(hub["openai/clip"]), llm=str(hub["lmsys/vicuna"]))
    named, here = write_untrained(PAPER, tmp_path / "named"), write_untrained(local, tmp_path / "here")
    assert file_sha256(tmp_path / "named") == file_sha256(tmp_path / "here")
    assert named == here | {"hub": records}
    file = tmp_path / "pretrained" / PROJECTOR
    save_file({name: torch.cat([weight, weight]) for name, weight in load_file(file).items()}, file)
    with pytest.raises(ValueError, match=r"projector\.safetensors is of another model: run `dvc repro pretrain` again"):
        finetune(instructions(4), tmp_path / "pretrained", PAPER, settings, tmp_path / "out")


def change(name, **values):
    return lambda at: (at / name).write_text(json.dumps(json.loads((at / name).read_text()) | values))


def drop_a_weight(at):
    weights = load_file(at / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, at / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("model", "damage", "message"),
    [
        (
            "openai/clip",
            lambda at: (at / "config.json").unlink(),
            "vlm.vision_tower: .* has no config.json, so it is no vision tower",
        ),
        ("openai/clip", lambda at: (at / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        ("openai/clip", change("preprocessor_config.json", crop_size=16), "takes 24 pixels, .* makes 16"),
        ("openai/clip", change("config.json", model_type="siglip"), "must be of CLIP, .* type siglip"),
        (
            "lmsys/vicuna",
            lambda at: (at / "model.safetensors").unlink(),
            "^params.yaml: vlm.llm: lmsys/vicuna@main has no .*synthpairs safetensors lmsys/vicuna@main models/vicuna`",
        ),
        ("lmsys/vicuna", change("config.json", hidden_size=48), "vlm.llm: lmsys/vicuna@main cannot be loaded"),
        ("lmsys/vicuna", drop_a_weight, "lacks 1 weights of its model, first model.layers.0.mlp.up_proj.weight"),
        ("lmsys/vicuna", change("config.json", model_type="clip"), "vlm.llm: .* cannot be loaded"),
    ],
)
def test_an_error_of_a_broken_model_is_one_line(hub, monkeypatch, tmp_path, model, damage, message):
    shutil.copytree(hub[model], tmp_path / "damaged")
    damage(tmp_path / "damaged")
    folders = hub | {model: tmp_path / "damaged"}
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(folders[name]))
    with pytest.raises((ValueError, OSError), match=message) as caught:
        assemble(PAPER)
    assert "\n" not in str(caught.value)


@pytest.fixture
def adapter(parts, tmp_path):
    """Folder of a LoRA of the tiny language model that calls its base a model of the hub."""
    llm = AutoModelForCausalLM.from_pretrained(parts.llm)
    adapted = get_peft_model(llm, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    change("adapter_config.json", base_model_name_or_path="owner/base")(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_is_merged_and_its_base_is_not_looked_up(parts, adapter, loopback_hub):
    loopback_hub.models["owner/base"] = Path(parts.llm)
    plain, merged = (
        assemble(dataclasses.replace(parts, adapter=name))[0].state_dict() for name in (None, str(adapter))
    )
    changed = {name for name, weight in plain.items() if not torch.equal(weight, merged[name])}
    assert changed == {f"model.language_model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2)}
    assert loopback_hub.fetched == []


def pickled(at):
    (at / "adapter_model.safetensors").rename(at / "other.safetensors")
    torch.save({}, at / "adapter_model.bin")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (pickled, r"has no adapter_model\.safetensors, and nothing else is loaded"),
        (lambda at: (at / "adapter_model.safetensors").write_bytes(b"x"), "is no adapter"),
        (lambda at: (at / "adapter_config.json").write_text("{}"), "is no adapter"),
        (change("adapter_config.json", target_modules=["fc9"]), "is of another model than vlm.llm"),
    ],
)
def test_an_error_of_a_broken_adapter_is_one_line(parts, adapter, damage, message):
    damage(adapter)
    with pytest.raises(ValueError, match=rf"params.yaml: vlm.adapter: .*{message}") as caught:
        assemble(dataclasses.replace(parts, adapter=str(adapter)))
    assert "\n" not in str(caught.value)
