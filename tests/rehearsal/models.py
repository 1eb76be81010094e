"""The models that the paper presets name, as repositories of the hub with random weights: real classes, layouts, dtypes, files.

Widths, depths and vocabularies are tiny, but for those of CLIP ViT-B, which open_clip makes by its name alone.
"""

import json
from functools import partial

import diffusers
import open_clip
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from tests.captions.tiny import save_blip
from tests.conftest import tiny_tokenizer
from tests.generation.diffusion import tiny
from tests.generation.masked.conftest import save_masked
from tests.vlm.conftest import vicuna

PLAIN = "files that a run must not fetch"
# Models of each preset, by their cards; the others have none.
LICENCES = {"stabilityai/stable-diffusion-xl-base-1.0": "openrail++", "lmsys/vicuna-7b-v1.5": "llama2"}


def write_hub(root):
    """Folders of all models by OWNER/NAME."""
    makers = {
        "Salesforce/blip-itm-base-coco": _blip,
        "timm/vit_base_patch32_clip_224.openai": partial(_clip, "ViT-B-32-quickgelu"),
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K": partial(_clip, "ViT-B-16"),
        "stabilityai/stable-diffusion-xl-base-1.0": _sdxl,
        "stabilityai/stable-diffusion-xl-refiner-1.0": lambda folder: _with_fp16(tiny.refiner(folder, levels=4)),
        "stabilityai/stable-diffusion-3-medium-diffusers": lambda folder: _with_fp16(tiny.sd3(folder, levels=4)),
        "madebyollin/sdxl-vae-fp16-fix": _vae,
        "openai/clip-vit-large-patch14-336": _clip_l14,
        "lmsys/vicuna-7b-v1.5": _vicuna,
        "amused/amused-256": lambda folder: _with_fp16(save_masked(folder)),
    }
    models = {name: root / name for name in makers}
    for name, make in makers.items():
        make(models[name])
    lora = models["ByteDance/SDXL-Lightning"] = root / "ByteDance/SDXL-Lightning"
    tiny.lora(lora, models["stabilityai/stable-diffusion-xl-base-1.0"], "sdxl_lightning_4step_lora.safetensors")
    (lora / "sdxl_lightning_4step.safetensors").write_text(PLAIN)
    for folder in models.values():
        _rename_classic(folder)
    for name, licence in LICENCES.items():
        (models[name] / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return models


def _rename_classic(folder):
    """Write tokenizers and image processors as the hub's older repositories have them, in place of transformers 5's files."""
    for file in folder.rglob("tokenizer.json"):
        model = json.loads(file.read_text())["model"]
        if model["type"] == "BPE":
            (file.parent / "vocab.json").write_text(json.dumps(model["vocab"]))
            (file.parent / "merges.txt").write_text(
                "#version: 0.2\n" + "".join(f"{' '.join(pair)}\n" for pair in model["merges"])
            )
            file.unlink()
        elif model["type"] == "WordPiece":
            (file.parent / "vocab.txt").write_text("".join(f"{word}\n" for word in model["vocab"]))
            file.unlink()
    for file in folder.rglob("processor_config.json"):
        (file.parent / "preprocessor_config.json").write_text(
            json.dumps(json.loads(file.read_text())["image_processor"])
        )
        file.unlink()


def write_kenlm(folder, texts):
    """The two files of edugp/kenlm: a bigram model in the ARPA form, which KenLM reads by any name, and SentencePiece's."""
    folder.mkdir(parents=True)
    (folder / "texts.txt").write_text("\n".join(texts))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"),
        model_prefix=str(folder / "en.sp"),
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "en.sp.model"))
    words = [pieces.id_to_piece(number) for number in range(3, pieces.vocab_size())]
    unigrams = ["-3\t<unk>", "0\t<s>\t-0.3", "-1\t</s>", *(f"-2\t{word}\t-0.3" for word in words)]
    bigrams = [f"-0.5\t<s> {words[0]}"]
    lines = [
        "\\data\\",
        f"ngram 1={len(unigrams)}",
        f"ngram 2={len(bigrams)}",
        "",
        "\\1-grams:",
        *unigrams,
        "",
        "\\2-grams:",
        *bigrams,
    ]
    (folder / "en.arpa.bin").write_text("\n".join([*lines, "", "\\end\\", ""]))


def _blip(folder):
    """BLIP that finds every caption to match."""
    save_blip(folder, image_size=384)
    weights = load_file(folder / "model.safetensors")
    weights["itm_head.bias"] += torch.tensor([-9.0, 9.0])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _vicuna(folder):
    vicuna(folder)
    _pickle(folder, shards=2)


def _pickle(folder, shards):
    """Replace safetensors by pickles, as old repositories have them alone."""
    weights, index = load_file(folder / "model.safetensors"), {}
    (folder / "model.safetensors").unlink()
    if shards == 1:
        return torch.save(weights, folder / "pytorch_model.bin")
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        names = sorted(weights)[number::shards]
        torch.save({name: weights[name] for name in names}, folder / file)
        index |= dict.fromkeys(names, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def _sdxl(folder):
    _with_fp16(tiny.sdxl(folder, levels=4))
    for name in ("sd_xl_base_1.0.safetensors", "unet/model.onnx"):
        (folder / name).write_text(PLAIN)


def _with_fp16(folder):
    """Add each part's weights in float16, beside the plain ones, as diffusers names them."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float16)
    pipeline.save_pretrained(folder, variant="fp16")
    return folder


def _vae(folder):
    torch.manual_seed(7)
    tiny.vae(levels=4).save_pretrained(folder)
    (folder / "sdxl_vae.safetensors").write_text(PLAIN)


def _clip(name, folder):
    folder.mkdir(parents=True)
    torch.manual_seed(8)
    model = open_clip.create_model(name)
    save_file(model.half().state_dict(), folder / "open_clip_model.safetensors")


def _clip_l14(folder):
    """CLIP's two halves at 336 pixels in patches of 14, so an image is 576 tokens as it really is."""
    torch.manual_seed(9)
    narrow = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    text = tiny.clip_config()
    config = CLIPConfig(
        text_config=text.to_dict(),
        vision_config=narrow | {"image_size": 336, "patch_size": 14, "projection_dim": 32},
        projection_dim=32,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=336), tiny_tokenizer()).save_pretrained(
        folder
    )
    _pickle(folder, shards=1)
    (folder / "tf_model.h5").write_text(PLAIN)
