"""Questions about scenes and their wordings. Benchmarks use the first wording, the instruction tuning data all of them."""

from dataclasses import dataclass

import numpy as np

from synthpairs.emoji.scenes import NUMBERS, Scene, article, describe, is_plural, plural
from synthpairs.emoji.tasks.composer import SceneComposer, choose
from synthpairs.emoji.tasks.definitions import LETTERS

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
class Question:
    """A question about `concept` in a scene; `words` fill the placeholders of the wordings of `category`."""

    category: str
    scene: Scene
    concept: str
    words: dict[str, str]
    answer: str

    def worded(self, rng: np.random.Generator | None = None) -> str:
        """The question in its first wording, or in a random one."""
        wordings = WORDINGS[self.category]
        return (wordings[0] if rng is None else choose(rng, wordings)).format(**self.words)


def ask_existence(scene: Scene, name: str) -> Question:
    """Whether the scene shows the concept: yes or no."""
    is_there = f"{'Are' if is_plural(name) else 'Is'} there {article(name)}"
    answer = "yes" if name in scene.names else "no"
    return Question("existence", scene, name, {"is_there": is_there, "a": article(name)}, answer)


def ask_what(scene: Scene) -> Question:
    """The concept of a `single` scene."""
    return Question("what", scene, scene.things[0].name, {}, scene.things[0].name)


def ask_where(scene: Scene, side: str) -> Question:
    """The concept on one of SIDES of a `pair`."""
    name = scene.things[SIDES.index(side)].name
    return Question("where", scene, name, {"side": side}, name)


def ask_how_many(scene: Scene) -> Question:
    """The number of objects in a scene of one concept, 1 to 3."""
    name = scene.things[0].name
    return Question("how many", scene, name, {"many": plural(name)}, NUMBERS[len(scene.things)])


def ask_which_colour(scene: Scene, name: str) -> Question:
    """The background of a scene that was composed for the concept `name`."""
    return Question("which colour", scene, name, {}, scene.background)


def ask_kind(scene: Scene, kind: str, options: list[str]) -> Question:
    """The kind of the object in a `single` scene, among four lettered options; the answer is the kind itself."""
    lettered = " ".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return Question("kind", scene, scene.things[0].name, {"options": lettered}, kind)


def ask_caption(scene: Scene) -> Question:
    """The plain caption of a scene."""
    return Question("caption", scene, scene.things[0].name, {}, describe(scene))


def four_kinds(composer: SceneComposer) -> list[str]:
    """The four most frequent kinds among the concepts, in alphabetical order; ValueError for fewer than four."""
    kinds = list(composer.kinds.values())
    common = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))[:4]
    if len(common) < 4:
        raise ValueError(f"params.yaml: world.concepts must be of four kinds or more, got {', '.join(common)}")
    return sorted(common)
