"""The exported towers give open_clip's outputs, on a tiny model and on the committed one."""

import open_clip
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModel

from desk_models.clip import CONTEXT, build, config, write_tokenizer
from desk_models.export import text_tower, vision_tower
from desk_models.publish import DESK
from synthpairs.emoji.scenes import BACKGROUNDS


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    spec = config(len(tokenizer), side=16, patches=4, width=192)
    spec["vision_cfg"] |= {"width": 64, "layers": 2}
    spec["text_cfg"] |= {"width": 64, "heads": 2}
    return build(spec | {"embed_dim": 32}).eval()


@torch.no_grad()
def test_vision_tower_pools_as_open_clip_does(model):
    pixels = torch.randn(3, 3, 16, 16)
    pooled = vision_tower(model)(pixel_values=pixels).pooler_output
    torch.testing.assert_close(pooled @ model.visual.proj, model.encode_image(pixels), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_text_tower_embeds_as_open_clip_does(model, tokenizer):
    captions = ["a crocodile on a blue background", "", "two mice " * 30]
    ids = tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids
    embedded = text_tower(model, tokenizer)(input_ids=ids).text_embeds
    torch.testing.assert_close(embedded, model.encode_text(ids), atol=1e-5, rtol=1e-4)


def test_tokenizer_ids_are_clips_for_words_within_the_kept_merges(tokenizer):
    whole = open_clip.SimpleTokenizer()
    text = "a picture of a dog on a blue background"
    assert tokenizer(text).input_ids[1:-1] == whole.encode(text)


def test_open_clip_loads_the_committed_models_tokenizer():
    ours = CLIPTokenizer.from_pretrained(DESK / "clip")
    theirs = open_clip.get_tokenizer(f"local-dir:{DESK}/clip")
    captions = ["A Koala, on RED", "three jeans  and a  bus"]
    lower = [" ".join(caption.lower().split()) for caption in captions]
    expected = ours(lower, padding="max_length", max_length=CONTEXT, return_tensors="pt").input_ids
    assert torch.equal(theirs(captions), expected)


@torch.no_grad()
def test_the_committed_vision_tower_equals_the_committed_clip():
    picture = Image.new("RGB", (64, 64), BACKGROUNDS["blue"])
    picture.paste((255, 200, 0), (10, 20, 50, 40))
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{DESK}/clip")
    ours = preprocess(picture)[None]
    theirs = CLIPImageProcessor.from_pretrained(DESK / "vision_tower")(picture, return_tensors="pt").pixel_values
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)  # two implementations of bicubic scaling
    pooled = (
        CLIPVisionModel.from_pretrained(DESK / "vision_tower", dtype=torch.float32)
        .eval()(pixel_values=ours)
        .pooler_output
    )
    torch.testing.assert_close(pooled @ clip.eval().visual.proj, clip.encode_image(ours), atol=2e-3, rtol=2e-2)


def test_generators_text_encoder_is_the_committed_clips():
    folder = DESK / "generator/text_encoder_2"
    encoder = CLIPTextModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()
    clip = open_clip.create_model(f"local-dir:{DESK}/clip").eval()
    ids = open_clip.get_tokenizer(f"local-dir:{DESK}/clip")(["a tulip on a white background"])
    with torch.no_grad():
        torch.testing.assert_close(encoder(input_ids=ids).text_embeds, clip.encode_text(ids), atol=2e-3, rtol=2e-2)
