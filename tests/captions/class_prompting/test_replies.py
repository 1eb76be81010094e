"""What becomes of a model's replies."""

import pytest

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.captions.class_prompting.matching import Matcher
from synthpairs.captions.class_prompting.replies import Parsed, Reply, parse


@pytest.mark.parametrize(
    ("reply", "text", "reason"),
    [
        ("A dog on a blue mat", "A dog on a blue mat", None),
        ('  "Two dogs\ton a mat."\nI hope you like it!', "Two dogs on a mat.", None),
        ("\n**Caption:** a dog in a red hat", "a dog in a red hat", None),
        ("<think>They want\na dog.</think>\nA dog runs", "A dog runs", None),
        ("<think>They want a dog, so", "", "empty"),
        ("", "", "empty"),
        (' "" ', "", "empty"),
        ("Here is a caption for a dog", "Here is a caption for a dog", "chatter"),
        ("The picture of the dog:", "The picture of the dog:", "chatter"),
        ("A dog that you\u2019re fond of", "A dog that you\u2019re fond of", "chatter"),
        ("Write one caption of 6 words about a dog", "Write one caption of 6 words about a dog", "prompt"),
        ("a FOX on a hill.", "a FOX on a hill.", "prompt"),
        (
            "\u4e00\u53ea\u72d7\u5728\u57ab\u5b50\u4e0a dog",
            "\u4e00\u53ea\u72d7\u5728\u57ab\u5b50\u4e0a dog",
            "language",
        ),
        ("123 456", "123 456", "language"),
        ("Un dog sur un tapis dans la maison", "Un dog sur un tapis dans la maison", "language"),
        ("Ein dog sitzt auf dem Tisch", "Ein dog sitzt auf dem Tisch", "language"),
        ("A dog at a caf\u00e9 table with a die", "A dog at a caf\u00e9 table with a die", None),
        ("Dog", "Dog", "length"),
        ("A dog " + "and a dog " * 4, "A dog and a dog and a dog and a dog and a dog", "length"),
        ("A cat on a mat", "A cat on a mat", "unmentioned"),
        ("A dogged cat", "A dogged cat", "unmentioned"),
    ],
)
def test_reply(settings, reply, text, reason):
    params, matcher = settings(), Matcher([Concept("dog", "world", ("dog",))])
    parsed = parse(Reply(reply, "m"), params.prompt, params.replies, lambda caption: matcher.mentions(caption, "dog"))
    assert (parsed.text, parsed.reason) == (text, reason)


def test_a_reply_cut_in_its_first_line_is_none(settings):
    params = settings()
    for text, reason in [("A dog on a", "cut"), ("A dog on a mat\nand the", None)]:
        reply = Reply(text, "m", cut=True)
        assert parse(reply, params.prompt, params.replies, lambda _: True).reason == reason
    assert parse(Reply("A dog on a", "m"), params.prompt, params.replies, lambda _: True) == Parsed("A dog on a")
