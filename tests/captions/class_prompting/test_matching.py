"""Concept matching and balancing."""

from collections import Counter

import pytest

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.captions.class_prompting.matching import Matcher, balanced

WORLD, IMAGENET = ("mouse", "cherries", "bus"), (("dog", "Canis familiaris"), ("hot dog", "red hot"), ("prie-dieu",))
BANK = [Concept(name, "world", (name,)) for name in WORLD]
BANK += [Concept(forms[0], "imagenet", forms) for forms in (*IMAGENET, ("plate", "shell"), ("shell",))]


@pytest.mark.parametrize(
    ("text", "about", "names"),
    [
        ("Two MICE on a bus.", "mouse", ["bus", "mouse"]),
        ("buses and a cherry", "bus", ["bus", "cherries"]),
        ("a hot-dog", "hot dog", ["dog", "hot dog"]),  # a name within a name matches, as in MetaCLIP
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


def test_rare_concepts_keep_all_captions_and_frequent_ones_about_the_limit():
    matched = {f"dog {number}": ["dog"] for number in range(2000)} | {f"bus {number}": ["bus"] for number in range(5)}
    matched["dog 77"].append("unicorn")  # one rare concept is enough
    kept = balanced(matched, 100, 0)
    counts = Counter(uid.split()[0] for uid in kept)
    assert counts["bus"] == 5
    assert counts["dog"] == pytest.approx(100, abs=40)  # four standard deviations
    assert "dog 77" in kept
    assert balanced(dict(reversed(matched.items())), 100, 0) == kept != balanced(matched, 100, 1)
