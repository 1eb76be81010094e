"""Questions about scenes and their many wordings. A benchmark uses the first wording, the instruction data all of them."""

from dataclasses import dataclass

import numpy as np

from synthpairs.emoji.scenes import NUMBERS, Scene, article, describe, is_plural, plural
from synthpairs.emoji.tasks.definitions import LETTERS
from synthpairs.emoji.tasks.studio import Studio, choose

SIDES = ("left", "right")
WORDINGS = {
    "caption": ("Describe the picture.", "Write a caption for the picture.", "Caption this picture.",
        "Describe this image in a few words."),
    "existence": ("{is_there} in the picture? Answer yes or no.", "Does the picture show {a}? Answer yes or no.",
        "Can you see {a}? Answer yes or no.", "{is_there} in this image? Answer yes or no."),
    "what": ("What is in the picture?", "What is this?", "Name the thing in the picture.", "What can you see here?"),
    "where": ("What is on the {side}?", "What can you see on the {side}?", "Which thing is on the {side}?",
        "Name the thing on the {side}."),
    "how many": ("How many {many} are in the picture?", "How many {many} are there?", "Count the {many}.",
        "How many {many} can you see?"),
    "which colour": ("What colour is the background?", "Which colour is the background?", "Name the colour of the background.",
        "What is the background colour?"),
    "kind": ("What kind of thing is this? {options}", "Which kind is it? {options}", "Choose the right kind. {options}"),
}  # fmt: skip


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


def ask_what(scene: Scene) -> Asked:
    """What a scene of one thing shows."""
    return Asked("what", scene, scene.things[0].name, {}, scene.things[0].name)


def ask_where(scene: Scene, side: str) -> Asked:
    """What is on one side of a pair; `side` is left or right."""
    name = scene.things[SIDES.index(side)].name
    return Asked("where", scene, name, {"side": side}, name)


def ask_how_many(scene: Scene) -> Asked:
    """How many there are in a scene of one concept: 1 to 3."""
    name = scene.things[0].name
    return Asked("how many", scene, name, {"many": plural(name)}, NUMBERS[len(scene.things)])


def ask_which_colour(scene: Scene, name: str) -> Asked:
    """On which background a scene is; `name` is the concept that it was composed for."""
    return Asked("which colour", scene, name, {}, scene.background)


def ask_kind(scene: Scene, kind: str, options: list[str]) -> Asked:
    """Which of four kinds the one thing shown is of; the answer is the kind, the options are lettered in their order."""
    lettered = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Asked("kind", scene, scene.things[0].name, {"options": lettered}, kind)


def ask_caption(scene: Scene) -> Asked:
    """For the scene's plain caption."""
    return Asked("caption", scene, scene.things[0].name, {}, describe(scene))


def four_kinds(studio: Studio) -> list[str]:
    """The four commonest kinds among the concepts, in alphabetical order; ValueError with fewer."""
    kinds = list(studio.kinds.values())
    common = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))[:4]
    if len(common) < 4:
        raise ValueError(f"params.yaml: world.concepts must be of four kinds or more, got {', '.join(common)}")
    return sorted(common)
