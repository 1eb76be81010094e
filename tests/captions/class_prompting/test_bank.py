"""Which classes are written about, and what is asked for each."""

from dataclasses import replace

import pytest

from synthpairs.captions.class_prompting.bank import concept_bank
from synthpairs.captions.class_prompting.params import ImageNet
from synthpairs.captions.class_prompting.prompts import requests
from tests.captions.class_prompting.conftest import WORLD


def _bank(settings, world, **imagenet):
    section = replace(ImageNet(subset="imagenet-21k-miil", classes=None, people=False), **imagenet)
    concepts = concept_bank(settings(banks=["world", "imagenet"], imagenet=section), world)
    return [(concept.name, concept.bank) for concept in concepts]


def test_each_name_is_there_once_and_the_first_banks_stays(settings):
    bank = _bank(settings, ["cat", "dog", "anchor"])
    names = [name for name, _ in bank]
    assert bank[:3] == [("cat", "world"), ("dog", "world"), ("anchor", "world")]
    assert len(set(names)) == len(names) > 9000
    only = concept_bank(settings(banks=["imagenet"]), WORLD)
    assert len(only) == 998 - 3  # crane and maillot are two classes each, and three are of people
    tench = next(concept for concept in only if concept.name == "tench")
    assert tench.forms == ("tench", "Tinca tinca")


def test_classes_are_drawn_by_name_so_that_more_leave_the_first(settings):
    few, more = (_bank(settings, [], classes=count) for count in (20, 40))
    assert len(few) == 20
    assert set(few) < set(more)
    assert few == sorted(few)
    params = settings(seed=1, banks=["imagenet"], imagenet=ImageNet(subset="imagenet-1k", classes=20, people=False))
    assert [(concept.name, concept.bank) for concept in concept_bank(params, [])] != few


def test_people_are_left_out_but_on_request(settings):
    without, everyone = (_bank(settings, [], people=people) for people in (False, True))
    people = {name for name, _ in everyone} - {name for name, _ in without}
    assert {"ballplayer", "scuba diver", "queen mother"} <= people
    assert not {"person", "dog", "statue", "griffon"} & people


def test_a_request_depends_on_seed_class_and_number_alone(settings):
    params = settings(per_class=2)
    few = requests(concept_bank(params, ["cat"]), params)
    many = requests(concept_bank(params, ["dog", "cat"]), params)
    assert few == many[2:]
    assert len({request.seed for request in many}) == 4
    assert few[0].messages == (
        ("system", "You write captions."),
        ("user", "Write one caption of 6 words. Subject: fox."),
        ("assistant", "A fox on a hill"),
        ("user", "Write one caption of 6 words. Subject: cat."),
    )
    assert requests(concept_bank(params, ["cat"]), settings(per_class=2, seed=1))[0].seed != few[0].seed


SLOTTED = {
    "request": "{words} words: {name}, {ground}, {count}.",
    "slots": {"ground": ["red", "blue"], "count": ["one"]},
    "examples": [{"name": "fox", "ground": "green", "count": "two", "caption": "Two foxes on green"}],
}


def test_slots_are_filled_for_each_caption_by_its_seed(settings):
    params = settings(per_class=16, prompt=replace(settings().prompt, **SLOTTED))
    asked = requests(concept_bank(params, ["cat"]), params)
    assert asked == requests(concept_bank(params, ["cat"]), params)
    assert {request.messages[-1][1] for request in asked} == {"6 words: cat, red, one.", "6 words: cat, blue, one."}
    assert {request.messages[1:3] for request in asked} == {
        (("user", "6 words: fox, green, two."), ("assistant", "Two foxes on green"))
    }


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"slots": {"ground": [], "count": ["one"]}}, r"slots\.ground must be a list of at least one value"),
        ({"slots": {"ground": ["red"], "count": ["one"], "size": ["big"]}}, r"request must hold .*\{size\}"),
        ({"examples": [{"name": "fox", "caption": "A fox"}]}, r"examples\[0\] must say caption, count, ground, name"),
        ({"slots": {"words": ["9"], "ground": ["red"], "count": ["one"]}}, "not be called name, words or caption"),
    ],
)
def test_slots_request_and_examples_must_agree(settings, changed, named):
    with pytest.raises(ValueError, match=named):
        requests([], settings(prompt=replace(settings().prompt, **(SLOTTED | changed))))


@pytest.mark.parametrize("request_", ["no field", "{name} {colour}", "{name} {", "{name} {0}", "{words}", "{name} {}"])
def test_a_template_must_name_the_class_and_nothing_unknown(settings, request_):
    with pytest.raises(ValueError, match=r"params\.yaml: invent\.prompt\.request"):
        requests([], settings(prompt=replace(settings().prompt, request=request_)))
