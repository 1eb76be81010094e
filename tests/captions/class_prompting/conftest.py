"""A tiny random language model of few words, and a section of params for it."""

from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from synthpairs.captions.class_prompting.params import ClassCaptions, ImageNet, Local, Prompt, Replies
from synthpairs.models.language.params import Sampling, Served
from tests.captions.tiny import save_llama

WORLD = ["cat", "dog", "bus", "cherries"]


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """Of so few words that some replies are captions."""
    words = ["<unk>", "<|im_start|>", "<|im_end|>", *WORLD, "A", "a", "the", "red", "on", "in", "sits"]
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return save_llama(tmp_path_factory.mktemp("llm"), raw, words[:3], initializer_range=0.1)


@pytest.fixture
def settings(language_model):
    """Makes section `class_captions` with the tiny model."""
    request = "Write one caption of {words} words. Subject: {name}."
    examples = [{"name": "fox", "caption": "A fox on a hill"}]
    params = ClassCaptions(
        seed=0, banks=["world"], imagenet=ImageNet(subset="imagenet-1k", classes=None, people=False), per_class=3,
        prompt=Prompt(system="You write captions.", request=request, slots={}, examples=examples, words=6),
        replies=Replies(words_min=2, words_max=12), balance=None, engine="local",
        local=Local(llm=str(language_model), batch_size=4, repetition_penalty=1.2),
        server=Served(model="pinned-1", extra={"top_k": 50.0, "presence_penalty": 0.5}),
        sampling=Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=16), max_failed_share=0.0,
    )  # fmt: skip
    return lambda **changed: replace(params, **changed)
