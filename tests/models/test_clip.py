"""A tiny SigLIP and a tiny CLIP with OpenAI's activation, loaded as any open_clip model."""

import json
import shutil
from functools import partial

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from desk_models.export import text_tower, vision_tower
from synthpairs.models.clip import ClipScorer, check_clip
from tests.conftest import tiny_tokenizer
from tests.scoring.conftest import photo, plain_cosine

LIMIT = 24  # tokens


@pytest.fixture(scope="module")
def tiny_siglip(tmp_path_factory):
    """An open_clip directory; its tokenizer has one token per letter, an end token, and padding of 1 as SigLIP's."""
    folder = tmp_path_factory.mktemp("tiny_siglip")
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -3.0) for letter in "▁abcdefghijklmnopqrstuvwxyz")]
    fast = Tokenizer(Unigram(pieces, unk_id=0))
    fast.pre_tokenizer = Metaspace()
    fast.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=fast, **special).save_pretrained(folder)
    image = {  # timm's, as all SigLIPs of open_clip: half precision differs from that of native models
        "image_size": 160, "timm_model_name": "test_vit", "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none",
    }  # fmt: skip
    text = {
        "context_length": LIMIT, "vocab_size": len(pieces), "width": 32, "heads": 2, "layers": 2, "no_causal_mask": True,
        "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
    }  # fmt: skip
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(embed_dim=64, vision_cfg=image, text_cfg=text, init_logit_bias=-10)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    named = text | {"hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"}}
    config = {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True, "vision_cfg": image, "text_cfg": named}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    return folder


def scorer(folder, precision="fp32"):
    return ClipScorer("scores", f"local-dir:{folder}", None, prefix="", precision=precision, batch=4)


def test_tokens_are_counted_by_the_models_tokenizer(tiny_siglip):
    siglip = scorer(tiny_siglip)
    assert siglip.token_limit == LIMIT
    assert siglip.count_tokens("A dog!") == len("▁a▁dog") + 1  # cleaned as by the tokenizer; the end token counts
    assert siglip.count_tokens("dog " * 10) == len("▁dog" * 10) + 1  # before truncation


@pytest.mark.parametrize(("precision", "difference"), [("fp32", 1e-5), ("bf16", 0.02)])
def test_cosines_are_those_of_a_plain_loop(tiny_siglip, precision, difference):
    siglip = scorer(tiny_siglip, precision)
    texts, pictures = ["a dog", "two red cats", "x" * 60], [photo(40, seed=seed) for seed in range(3)]
    images = siglip.embed_pictures([siglip.view(picture) for picture in pictures])
    for picture, text, cosine in zip(pictures, texts, (images * siglip.embed_texts(texts)).sum(1), strict=True):
        assert cosine.item() == pytest.approx(plain_cosine(f"local-dir:{tiny_siglip}", picture, text), abs=difference)
        assert -1 <= cosine <= 1  # without the sigmoid's learnt scale and offset


def test_float32_is_not_rounded_to_tf32(tiny_clip, monkeypatch):
    clip, allowed = scorer(tiny_clip), []
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    clip.model.visual.register_forward_pre_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    clip.embed_pictures([torch.zeros(3, 16, 16)])
    assert (allowed[-1], torch.backends.cudnn.allow_tf32) == (False, True)


def test_every_model_of_open_clip_is_told_the_name_with_its_weights_activation():
    mismatched = set()
    for name, pretrained in open_clip.list_pretrained():
        try:
            check_clip("scores", name, pretrained)
        except ValueError as error:
            mismatched.add(f"{name} {pretrained}")
            check_clip("scores", str(error).rpartition(" ")[2], pretrained)
    assert {"ViT-B-32 openai", "ViT-L-14-336 openai", "ViT-H-14 dfn5b"} < mismatched
    assert "ViT-B-32 laion2b_s34b_b79k" not in mismatched


@torch.no_grad()
def test_quickgelu_of_a_directory_is_read_from_its_config(tiny_clip, tmp_path):
    """Cosines equal those of transformers' CLIPModel, whose default activation is OpenAI's."""
    folder = shutil.copytree(tiny_clip, tmp_path / "quick")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    model, tokenizer = open_clip.create_model(f"local-dir:{folder}").eval(), tiny_tokenizer()
    vision, text = vision_tower(model), text_tower(model, tokenizer)
    settings = {name: tower.config.to_dict() | {"hidden_act": "quick_gelu"} for name, tower in
                (("vision_config", vision), ("text_config", text))}  # fmt: skip
    state = {f"vision_model.{name}": value for name, value in vision.state_dict().items()} | text.state_dict()
    state |= {"visual_projection.weight": model.visual.proj.T, "logit_scale": model.logit_scale}
    whole = CLIPModel(CLIPConfig(projection_dim=16, **settings))
    whole.load_state_dict(state)
    whole.save_pretrained(tmp_path / "transformers")
    theirs = CLIPModel.from_pretrained(tmp_path / "transformers").eval()
    texts, pictures = ["a dog", "two red cats", "x" * 80], [photo(40, seed=seed) for seed in range(3)]
    cosines = {}
    for at in (folder, tiny_clip):
        ours = scorer(at)
        views = [ours.view(picture) for picture in pictures]
        cosines[at] = ours.embed_pictures(views) @ ours.embed_texts(texts).T
    output = theirs(input_ids=ours.tokenizer(texts), pixel_values=torch.stack(views))
    torch.testing.assert_close(cosines[folder], output.image_embeds @ output.text_embeds.T, atol=1e-5, rtol=0)
    assert (cosines[folder] - cosines[tiny_clip]).abs().max() > 1e-4  # the same weights with GELU


def test_a_model_that_cannot_be_loaded_is_an_error(tiny_clip, tmp_path):
    load = partial(ClipScorer, "captions", prefix="", precision="fp32", batch=4)
    with pytest.raises(FileNotFoundError, match=r"captions.clip: .*open_clip_config.json is missing"):
        load(f"local-dir:{tmp_path}", None)
    (tmp_path / "open_clip_config.json").write_bytes((tiny_clip / "open_clip_config.json").read_bytes())
    for name, pretrained, message in [
        (f"local-dir:{tmp_path}", None, "captions.clip: local-dir:.* cannot be loaded: .*weights"),
        (f"local-dir:{tiny_clip}", "openai", "captions.pretrained must be null for local-dir"),
        ("ViT-B-32", "openia", "no open_clip model ViT-B-32 with openia; weights of ViT-B-32 are openai, "),
        ("ViT-Z", None, "no open_clip model ViT-Z with None"),
        (
            "ViT-B-32",
            "openai",
            "params.yaml: captions.clip: the weights openai were trained with QuickGELU, .*: write ViT-B-32-quickgelu$",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            load(name, pretrained)
