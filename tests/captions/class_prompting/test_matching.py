"""Which concepts a caption names, and which captions stay when some are named too often."""

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
    matched["dog 77"].append("unicorn")  # one rare concept is enough to stay
    stay = balanced(matched, 100, 0)
    counts = Counter(uid.split()[0] for uid in stay)
    assert counts["bus"] == 5
    assert counts["dog"] == pytest.approx(100, abs=40)  # four standard deviations
    assert "dog 77" in stay
    assert balanced(dict(reversed(matched.items())), 100, 0) == stay != balanced(matched, 100, 1)
