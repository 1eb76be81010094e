"""Generated captions: parsing of replies, and their dependence on the seed."""

from pathlib import Path

import pytest

from synthpairs.captions.generated import generated_captions, parse_reply
from synthpairs.captions.params import Generated
from synthpairs.models.language.model import load

FAULTS = {
    "talks about the task": [
        "Here is a caption for a dog", "I'm sure that a dog is fine", "The picture of the dog:",
    ],
    "repeats the prompt": ["a dog. Background colour: red.", "A red fox on a blue background"],
    "does not mention dog": ["A cat on a mat"],
    "empty": ["", ' "" '],
    None: ["A dog on a blue background"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "text", "fault"),
    [
        ('  "Two dogs on a mat."\nI hope you like it!', "Two dogs on a mat.", None),
        ("\nCaption: a dog in a red hat", "a dog in a red hat", None),
        *((reply, reply, fault) for fault in FAULTS for reply in FAULTS[fault]),
    ],
)
def test_reply(reply, text, fault):
    assert parse_reply(reply, "dog") == (text, fault)


def test_each_reply_becomes_a_caption_and_depends_only_on_seed_and_number(settings, store):
    params = settings()
    more = Generated(per_concept=5, sampling=params.generated.sampling)
    few, many, other = (
        generated_captions(load(Path(params.llm)), ["cat", "dog"], model, seed, 4, store)
        for model, seed in ((params.generated, 0), (more, 0), (params.generated, 1))
    )
    assert (len(few), len(many)) == (6, 10)
    assert few == many[:3] + many[5:8] != other
    assert all(caption.reason == "reply" for caption in few)  # a random model names no concept
