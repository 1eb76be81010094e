"""Parsing of model replies."""

import pytest

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.captions.class_prompting.matching import Matcher
from synthpairs.captions.class_prompting.replies import Parsed, Reply, parse

CAPTIONS = {
    '  "Two dogs\ton a mat."\nI hope you like it!': "Two dogs on a mat.",
    "\n**Caption:** a dog in a red hat": "a dog in a red hat",
    "<think>They want\na dog.</think>\nA dog runs": "A dog runs",
}
REJECTED = {
    "empty": ["<think>They want a dog, so", "", ' "" '],
    "chatter": ["Here is a caption for a dog", "The picture of the dog:", "A dog that you\u2019re fond of"],
    "prompt": ["Write one caption of 6 words about a dog", "a FOX on a hill."],
    "language": [
        "\u4e00\u53ea\u72d7\u5728\u57ab\u5b50\u4e0a dog", "123 456", "Un dog sur un tapis dans la maison",
        "Ein dog sitzt auf dem Tisch",
    ],
    "length": ["Dog", "A dog and a dog and a dog and a dog and a dog"],
    "unmentioned": ["A cat on a mat", "A dogged cat"],
}  # fmt: skip


@pytest.fixture
def parsed(settings):
    params, matcher = settings(), Matcher([Concept("dog", "world", ("dog",))])
    return lambda reply: parse(reply, params.prompt, params.replies, lambda text: matcher.mentions(text, "dog"))


@pytest.mark.parametrize(
    ("reply", "text"),
    [*CAPTIONS.items(), *((same, same) for same in ("A dog", "A dog at a caf\u00e9 table with a die"))],
)
def test_usable_replies(parsed, reply, text):
    assert parsed(Reply(reply, "m")) == Parsed(text)


@pytest.mark.parametrize(("reason", "reply"), [(reason, reply) for reason in REJECTED for reply in REJECTED[reason]])
def test_rejected_replies(parsed, reason, reply):
    rejected = parsed(Reply(reply, "m"))
    assert (rejected.text, rejected.reason) == ("" if reason == "empty" else reply, reason)


def test_a_reply_cut_in_its_first_line_is_rejected(parsed):
    assert parsed(Reply("A dog on a", "m", cut=True)).reason == "cut"
    assert parsed(Reply("A dog on a mat\nand the", "m", cut=True)).reason is None
