"""`desk_pope`: is there one in the picture? POPE's three ways to choose what is not (Li et al. 2023, 2305.10355, section 4).

- random: any absent concept;
- popular: one of the concepts that the benchmark's pictures show most often;
- adversarial: the absent concept that is most often shown together with what the picture shows.

POPE asks each picture six questions; here each has one with yes and one with no. In every split each concept is asked
about with yes exactly as often as with no, so whoever answers from the question alone is right half of the time, exactly.
For that the pictures are composed in couples: a concept appears beside its companion and beside nothing else.
"""

from collections import Counter

import numpy as np

from synthpairs.emoji.scenes import Scene
from synthpairs.emoji.tasks.items import asked_item
from synthpairs.emoji.tasks.questions import ask_existence
from synthpairs.emoji.tasks.studio import Studio, choose, evenly, shuffled

SHARE = 4  # one in so many concepts is popular, and is shown at least about so many times


def pope_items(studio: Studio, count: int, rng: np.random.Generator) -> list[dict]:
    """`count` items, a multiple of 12; category is the split. ValueError when the concepts are too few to keep to POPE."""
    pictures = count // 6
    couples = _couples(studio, rng)
    companion = dict(couples) | {second: first for first, second in couples}
    every = [name for couple in evenly(rng, couples, pictures // 2) for name in couple]
    names = [name for couple in couples for name in couple]
    few = evenly(rng, names[: max(4, min(len(names), pictures) // SHARE // 2 * 2)], pictures)  # each often
    present = {"random": every, "popular": few, "adversarial": every}
    scenes = {
        split: [
            # One of every couple appears beside its companion; an adversarial picture must leave the companion out.
            _scene(studio, rng, name, companion[name] if split != "adversarial" and index % 2 == 0 else None)
            for index, name in enumerate(shown)
        ]
        for split, shown in present.items()
    }
    absent = {
        "random": _rearranged(every, scenes["random"], rng),
        "popular": _rearranged(few, scenes["popular"], rng),
        "adversarial": [companion[name] for name in every],
    }
    _check_popular(scenes, set(few))
    return [
        asked_item("desk_pope", ask_existence(scene, name), studio, split)
        for split, shown in present.items()
        for scene, *both in zip(scenes[split], shown, absent[split], strict=True)
        for name in both
    ]


def _couples(studio: Studio, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Every concept with a companion, of its own kind as far as the numbers allow; with an odd number one is left over."""
    order = shuffled(rng, studio.names)
    pairs: list[tuple[str, str]] = []
    rest: list[str] = []
    for kind in sorted(set(studio.kinds.values())):
        of_kind = [name for name in order if studio.kinds[name] == kind]
        pairs += zip(of_kind[::2], of_kind[1::2], strict=False)
        rest += of_kind[len(of_kind) // 2 * 2 :]
    pairs += zip(rest[::2], rest[1::2], strict=False)
    return shuffled(rng, pairs)


def _scene(studio: Studio, rng: np.random.Generator, name: str, beside: str | None) -> Scene:
    if beside:
        return studio.compose(rng, "pair", name, beside)
    return studio.compose(rng, choose(rng, ("single", "several")) if name in studio.countable else "single", name)


def _rearranged(names: list[str], scenes: list[Scene], rng: np.random.Generator) -> list[str]:
    """The same names in an order in which none is in the scene of its index."""
    order = shuffled(rng, names)
    for index, scene in enumerate(scenes):
        if order[index] not in scene.names:
            continue
        partners = [
            other
            for other, other_scene in enumerate(scenes)
            if order[other] not in scene.names and order[index] not in other_scene.names
        ]
        if not partners:
            raise ValueError(
                "params.yaml: world.concepts are too few for tasks.pope; name more, or ask fewer questions"
            )
        other = choose(rng, partners)
        order[index], order[other] = order[other], order[index]
    return order


def _check_popular(scenes: dict[str, list[Scene]], popular: set[str]) -> None:
    counts = Counter(name for split in scenes.values() for scene in split for name in scene.names)
    least = min(counts[name] for name in popular)
    others = [name for name in counts if name not in popular and counts[name] > least]
    if others:
        raise ValueError(
            f"params.yaml: tasks.pope: {', '.join(sorted(others))} would be shown more often than the popular concepts; "
            "take another number of questions or another seed"
        )
