"""Concept bank: the classes that captions are written about."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthpairs.captions.class_prompting.params import ClassCaptions
from synthpairs.core.schema import digest

# WordNet ids are ordered by topic; ImageNet's classes of people lie between these.
_PEOPLE = "n09500000", "n11400000"


@dataclass(frozen=True, slots=True)
class Concept:
    """A class with its bank and all its names, `name` included."""

    name: str
    bank: str
    forms: tuple[str, ...]


def concept_bank(params: ClassCaptions, world: Sequence[str]) -> list[Concept]:
    """Classes of the banks in `params.banks`, by unique name; `world` are the concepts of the emoji world."""
    concepts: dict[str, Concept] = {}
    for bank in params.banks:
        classes = [Concept(name, bank, (name,)) for name in world] if bank == "world" else _imagenet(params)
        for concept in classes:
            concepts.setdefault(concept.name, concept)
    if not concepts:
        raise ValueError(
            "params.yaml: class_captions.banks must name at least one bank (world, imagenet) that has a class"
        )
    return list(concepts.values())


def _imagenet(params: ClassCaptions) -> list[Concept]:
    """`params.imagenet.classes` classes of ImageNet, ordered by name. Classes of the same name are merged."""
    from timm.data.imagenet_info import ImageNetInfo  # takes seconds

    info = ImageNetInfo(params.imagenet.subset)
    first, last = _PEOPLE
    forms: dict[str, dict[str, None]] = {}
    for synset in info.label_names():
        if params.imagenet.people or not first <= synset <= last:
            lemmas = [lemma.strip() for lemma in info.label_name_to_description(synset).split(",")]
            forms.setdefault(lemmas[0], {}).update(dict.fromkeys(lemmas))
    drawn = sorted(forms, key=lambda name: digest("class", params.seed, name))[: params.imagenet.classes]
    return [Concept(name, "imagenet", tuple(forms[name])) for name in sorted(drawn)]
