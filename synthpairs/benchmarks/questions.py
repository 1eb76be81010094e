"""Questions about scenes and their many wordings. A benchmark uses the first wording, the instruction data all of them."""

from dataclasses import dataclass

import numpy as np

from synthpairs.artwork.scenes import NUMBERS, Scene, article, is_plural, plural
from synthpairs.benchmarks.definitions import LETTERS
from synthpairs.benchmarks.studio import Studio, choose

WORDINGS = {
    "caption": (
        "Describe the picture.",
        "Write a caption for the picture.",
        "Caption this picture.",
        "Describe this image in a few words.",
    ),
    "existence": (
        "{is_there} in the picture? Answer yes or no.",
        "Does the picture show {a}? Answer yes or no.",
        "Can you see {a}? Answer yes or no.",
        "{is_there} in this image? Answer yes or no.",
    ),
    "what": ("What is in the picture?", "What is this?", "Name the thing in the picture.", "What can you see here?"),
    "where": (
        "What is on the {side}?",
        "What can you see on the {side}?",
        "Which thing is on the {side}?",
        "Name the thing on the {side}.",
    ),
    "how many": (
        "How many {many} are in the picture?",
        "How many {many} are there?",
        "Count the {many}.",
        "How many {many} can you see?",
    ),
    "which colour": (
        "What colour is the background?",
        "Which colour is the background?",
        "Name the colour of the background.",
        "What is the background colour?",
    ),
    "kind": (
        "What kind of thing is this? {options}",
        "Which kind is it? {options}",
        "Choose the right kind. {options}",
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a scene: `words` go into a wording of `category`, `concept` is what it is about."""

    category: str
    scene: Scene
    concept: str
    words: dict[str, str]
    answer: str

    def worded(self, rng: np.random.Generator | None = None) -> str:
        """The question in its first wording, or in a random one."""
        wordings = WORDINGS[self.category]
        return (wordings[0] if rng is None else choose(rng, wordings)).format(**self.words)


def ask_existence(scene: Scene, name: str) -> Asked:
    """Whether the scene shows the concept."""
    is_there = f"{'Are' if is_plural(name) else 'Is'} there {article(name)}"
    answer = "yes" if name in scene.names else "no"
    return Asked("existence", scene, name, {"is_there": is_there, "a": article(name)}, answer)


def ask_what(studio: Studio, rng: np.random.Generator, name: str) -> Asked:
    """What a scene of one thing shows."""
    return Asked("what", studio.compose(rng, "single", name), name, {}, name)


def ask_where(studio: Studio, rng: np.random.Generator, name: str, side: str) -> Asked:
    """What is on one side of a pair; `side` is left or right."""
    place = 0 if side == "left" else 1
    while True:
        scene = studio.compose(rng, "pair", name, studio.other(rng, name))
        if scene.things[place].name == name:
            return Asked("where", scene, name, {"side": side}, name)


def ask_how_many(studio: Studio, rng: np.random.Generator, name: str, count: int) -> Asked:
    """How many of one concept a scene shows: 1 to 3."""
    scene = studio.compose(rng, "single" if count == 1 else "several", name, count=count)
    return Asked("how many", scene, name, {"many": plural(name)}, NUMBERS[count])


def ask_which_colour(studio: Studio, rng: np.random.Generator, name: str, colour: str) -> Asked:
    """On which background a scene is."""
    kind = choose(rng, ("single", "pair"))
    others = [studio.other(rng, name)] if kind == "pair" else []
    return Asked("which colour", studio.compose(rng, kind, name, *others, background=colour), name, {}, colour)


def ask_kind(studio: Studio, rng: np.random.Generator, name: str, options: list[str]) -> Asked:
    """Which of four kinds the thing shown is of; the answer is the kind, the options are lettered in their order."""
    lettered = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Asked("kind", studio.compose(rng, "single", name), name, {"options": lettered}, studio.kinds[name])


def four_kinds(studio: Studio) -> list[str]:
    """The four commonest kinds among the concepts, in alphabetical order; ValueError with fewer."""
    kinds = list(studio.kinds.values())
    common = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))[:4]
    if len(common) < 4:
        raise ValueError(f"params.yaml: world.concepts must be of four kinds or more, got {', '.join(common)}")
    return sorted(common)


def shuffled(rng: np.random.Generator, values: list[str]) -> list[str]:
    """The values in random order."""
    return [values[place] for place in rng.permutation(len(values))]
