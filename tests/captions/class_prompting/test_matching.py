"""Which concepts a caption names, and which captions stay when some are named too often."""

from collections import Counter

import pytest

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.captions.class_prompting.matching import Matcher, balanced

BANK = [
    Concept("mouse", "world", ("mouse",)), Concept("cherries", "world", ("cherries",)),
    Concept("bus", "world", ("bus",)), Concept("dog", "imagenet", ("dog", "Canis familiaris")),
    Concept("hot dog", "imagenet", ("hot dog", "red hot")), Concept("prie-dieu", "imagenet", ("prie-dieu",)),
    Concept("plate", "imagenet", ("plate", "shell")), Concept("shell", "imagenet", ("shell",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "about", "names"),
    [
        ("Two MICE on a bus.", "mouse", ["bus", "mouse"]),
        ("buses and a cherry", "bus", ["bus", "cherries"]),
        ("a hot-dog", "hot dog", ["dog", "hot dog"]),  # as in MetaCLIP, a name in a name counts
        ("Canis familiaris asleep", "dog", ["dog"]),
        ("a Prie Dieu in a church", "prie-dieu", ["prie-dieu"]),
        ("a shell on sand", "bus", ["shell"]),
        ("a shell on sand", "plate", ["plate", "shell"]),
        ("the dogma of busts", "dog", []),
        ("hot", "hot dog", []),
        ("", "dog", []),
    ],
)
def test_matches(text, about, names):
    matcher = Matcher(BANK)
    assert matcher.matched(text, about) == names
    assert matcher.mentions(text, about) == (about in names)


def test_rare_concepts_keep_everything_and_common_ones_about_the_limit():
    matched = {f"dog {number}": ["dog"] for number in range(2000)} | {f"bus {number}": ["bus"] for number in range(5)}
    stay = balanced(matched, 100, 0)
    counts = Counter(uid.split()[0] for uid in stay)
    assert counts["bus"] == 5
    assert counts["dog"] == pytest.approx(100, abs=40)  # four standard deviations


def test_one_rare_concept_is_enough_to_stay():
    matched = {f"{number}": ["dog", *(["unicorn"] if number == 77 else [])] for number in range(2000)}
    assert "77" in balanced(matched, 1, 0)


def test_lots_depend_on_seed_and_caption_not_on_the_order():
    matched = {f"{number}": ["dog", "bus"] for number in range(300)}
    assert balanced(dict(reversed(matched.items())), 30, 0) == balanced(matched, 30, 0) != balanced(matched, 30, 1)
