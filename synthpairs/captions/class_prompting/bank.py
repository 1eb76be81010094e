"""The concept bank: the classes that captions are written about and matched with."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthpairs.captions.class_prompting.params import ImageNet, Invent
from synthpairs.core.schema import digest

# WordNet numbers its nouns topic by topic: between these lie ImageNet's people, from "spiritual leader" to named ones.
_PEOPLE = "n09500000", "n11400000"


@dataclass(frozen=True, slots=True)
class Concept:
    """A class: its name, the bank that it comes from, and everything that it is called, its name included."""

    name: str
    bank: str
    forms: tuple[str, ...]


def concept_bank(params: Invent, world: Sequence[str]) -> list[Concept]:
    """All classes of the chosen banks, each name once; `world` are the desk world's concepts."""
    concepts: dict[str, Concept] = {}
    for bank in params.banks:
        found = [Concept(name, bank, (name,)) for name in world] if bank == "world" else _imagenet(params)
        for concept in found:
            concepts.setdefault(concept.name, concept)
    if not concepts:
        raise ValueError("params.yaml: invent.banks must name at least one bank (world, imagenet) that has a class")
    return list(concepts.values())


def _imagenet(params: Invent) -> list[Concept]:
    """The drawn classes, by name. Classes that share a name are one: a caption's words do not tell them apart."""
    forms: dict[str, dict[str, None]] = {}
    for lemmas in _lemmas(params.imagenet):
        forms.setdefault(lemmas[0], {}).update(dict.fromkeys(lemmas))
    drawn = sorted(forms, key=lambda name: digest("class", params.seed, name))[: params.imagenet.classes]
    return [Concept(name, "imagenet", tuple(forms[name])) for name in sorted(drawn)]


def _lemmas(params: ImageNet) -> list[list[str]]:
    from timm.data.imagenet_info import ImageNetInfo  # seconds, and only this bank needs it

    info = ImageNetInfo(params.subset)
    first, last = _PEOPLE
    synsets = [synset for synset in info.label_names() if params.people or not first <= synset <= last]
    return [[lemma.strip() for lemma in info.label_name_to_description(synset).split(",")] for synset in synsets]
