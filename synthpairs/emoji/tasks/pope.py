"""`desk_pope`: object existence questions with POPE's three ways to sample absent objects (Li et al. 2023, 2305.10355).

- random: any absent concept;
- popular: one of the concepts that the benchmark's images show most often;
- adversarial: the absent concept that co-occurs most often with the one shown.

POPE asks six questions per image; here each image has one question answered yes and one answered no. Within a split each
concept is asked about equally often with either answer, so that answers from the question alone have an accuracy of exactly
one half. To make this possible, every concept has one companion, and co-occurs with no other concept.
"""

from collections import Counter

import numpy as np

from synthpairs.emoji.scenes import Scene
from synthpairs.emoji.tasks.composer import SceneComposer, choose, evenly, shuffled
from synthpairs.emoji.tasks.items import question_item
from synthpairs.emoji.tasks.questions import ask_existence

SHARE = 4  # one concept in SHARE is popular, and shown at least about SHARE times


def pope_items(composer: SceneComposer, count: int, rng: np.random.Generator) -> list[dict]:
    """`count` items, a multiple of 12; category is the split. ValueError for too few concepts."""
    images = count // 6
    pairs = _companion_pairs(composer, rng)
    companion = dict(pairs) | {second: first for first, second in pairs}
    every = [name for pair in evenly(rng, pairs, images // 2) for name in pair]
    names = [name for pair in pairs for name in pair]
    few = evenly(rng, names[: max(4, min(len(names), images) // SHARE // 2 * 2)], images)
    present = {"random": every, "popular": few, "adversarial": every}
    scenes = {
        split: [
            # One concept of every pair appears with its companion, except where the companion must be the absent one.
            _scene(composer, rng, name, companion[name] if split != "adversarial" and index % 2 == 0 else None)
            for index, name in enumerate(shown)
        ]
        for split, shown in present.items()
    }
    absent = {
        "random": _absent(every, scenes["random"], rng),
        "popular": _absent(few, scenes["popular"], rng),
        "adversarial": [companion[name] for name in every],
    }
    _check_popular(scenes, set(few))
    return [
        question_item("desk_pope", ask_existence(scene, name), composer, split)
        for split, shown in present.items()
        for scene, *names in zip(scenes[split], shown, absent[split], strict=True)
        for name in names
    ]


def _companion_pairs(composer: SceneComposer, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Concepts in pairs, of the same kind where the numbers allow; of an odd number of concepts one is left out."""
    order = shuffled(rng, composer.names)
    pairs: list[tuple[str, str]] = []
    unpaired: list[str] = []
    for kind in sorted(set(composer.kinds.values())):
        of_kind = [name for name in order if composer.kinds[name] == kind]
        pairs += zip(of_kind[::2], of_kind[1::2], strict=False)
        unpaired += of_kind[len(of_kind) // 2 * 2 :]
    pairs += zip(unpaired[::2], unpaired[1::2], strict=False)
    return shuffled(rng, pairs)


def _scene(composer: SceneComposer, rng: np.random.Generator, name: str, companion: str | None) -> Scene:
    if companion:
        return composer.compose(rng, "pair", name, companion)
    return composer.compose(rng, choose(rng, ("single", "several")) if name in composer.countable else "single", name)


def _absent(names: list[str], scenes: list[Scene], rng: np.random.Generator) -> list[str]:
    """A permutation of `names` such that none is in the scene at its index."""
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
                "params.yaml: tasks.pope: too few world.concepts; add concepts, or ask for fewer questions"
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
            "change tasks.pope or tasks.seed"
        )
