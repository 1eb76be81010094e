"""A small world of drawn shapes with its drawings table, its tasks, and a tiny random LLaVA."""

import io
import zlib

import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from synthpairs.emoji.tasks.params import Mix, Tasks
from synthpairs.emoji.tasks.words import CLASSES
from synthpairs.emoji.tasks.writing import make_tasks
from synthpairs.vlm.model import TEMPLATES

KINDS = {
    "animal or plant": ["ant", "cat", "cow", "dog", "rose", "snake"],
    "food or drink": ["bread", "cherries", "lemon", "peach", "pear", "tomato"],
    "object": ["bell", "bomb", "crown", "door", "guitar", "jeans"],
    "place or vehicle": ["airplane", "anchor", "bus", "fire", "rocket", "tractor"],
}
STYLES = {"flat": "train", "noto": "train", "fox": "heldout_combination", "openmoji": "heldout_style"}
SMALL = Tasks(
    seed=3, side=48, references=3, caption=16, pope=96, vqa=48, sqa=32, text=24,
    instructions=Mix(pictures=40, turns=3, text=24),
)  # fmt: skip


def _png(name, style):
    hue = zlib.crc32(f"{name}/{style}".encode())
    image = Image.new("RGBA", (32, 32))
    ImageDraw.Draw(image).ellipse((2, 2, 29, 20 + hue % 9), fill=(hue & 255, hue >> 8 & 255, hue >> 16 & 255, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def kinds():
    """The small world's concepts by kind."""
    return KINDS


@pytest.fixture(scope="session")
def concepts():
    """The small world's concepts."""
    return [name for names in KINDS.values() for name in names]


@pytest.fixture(scope="session")
def small():
    """Section `tasks` at the small world's size."""
    return SMALL


@pytest.fixture(scope="session")
def drawings():
    """A table as data/art/drawings.parquet: four styles of every concept, and words that only have keywords."""
    named = [(name, kind, []) for kind, names in KINDS.items() for name in names]
    named += [(sort + letter * 2, "face", [sort]) for sort in CLASSES for letter in "abcdef"]  # birdaa, birdbb, ...
    return pd.DataFrame(
        {
            "drawing": f"{name}/{style}", "concept": name, "name": name, "kind": kind, "keywords": keywords,
            "style": style, "licence": "MIT", "split": split, "png": _png(name, style),
        }
        for name, kind, keywords in named
        for style, split in STYLES.items()
    )  # fmt: skip


@pytest.fixture(scope="session")
def task_directory(drawings, concepts, tmp_path_factory):
    """All of data/tasks, made of the small world."""
    out = tmp_path_factory.mktemp("tasks")
    make_tasks(drawings, concepts, SMALL, out)
    return out


@pytest.fixture(scope="session")
def tiny_vlm():
    """A random LLaVA of 32 dimensions with 16 tokens a picture, and a tokenizer that knows bytes only."""
    special = ["<image>", "<|im_start|>", "<|im_end|>", "<pad>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        [], trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<pad>")
    end = tokenizer.eos_token_id
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=48, patch_size=12
            ),
            text_config=LlamaConfig(
                vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, eos_token_id=end, bos_token_id=end, pad_token_id=end,
                initializer_range=0.3,
            ),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            image_seq_length=16,
        )
    )  # fmt: skip
    model.generation_config.eos_token_id = end
    size = {"height": 48, "width": 48}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 48}, crop_size=size),
        tokenizer=tokenizer,
        patch_size=12,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATES["chatml"],
    )
    return model.eval(), processor


def log_likelihood(model, processor, context, end):
    """Log-likelihood of `end` after `context`."""
    start = len(processor.tokenizer(context)["input_ids"])
    ids = processor.tokenizer(context + end, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        log_probs = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
    return log_probs.gather(1, ids[0, start:, None]).sum().item()
