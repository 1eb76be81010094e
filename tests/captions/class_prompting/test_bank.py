"""Which classes are written about, and what is asked for each."""

from dataclasses import replace

import pytest

from synthpairs.captions.class_prompting.bank import concept_bank
from synthpairs.captions.class_prompting.params import ImageNet
from synthpairs.captions.class_prompting.prompts import requests
from tests.captions.class_prompting.conftest import WORLD


@pytest.fixture
def bank(settings):
    """Names and banks of the concepts of a world and of ImageNet."""

    def names(world, seed=0, **imagenet):
        section = replace(ImageNet(subset="imagenet-21k-miil", classes=None, people=False), **imagenet)
        concepts = concept_bank(settings(seed=seed, banks=["world", "imagenet"], imagenet=section), world)
        return [(concept.name, concept.bank) for concept in concepts]

    return names


def test_each_name_is_there_once_and_the_first_banks_stays(bank, settings):
    both = bank(["cat", "dog", "anchor"])
    assert both[:3] == [("cat", "world"), ("dog", "world"), ("anchor", "world")]
    assert len(dict(both)) == len(both) > 9000
    only = concept_bank(settings(banks=["imagenet"]), WORLD)
    assert len(only) == 998 - 3  # crane and maillot are two classes each, and three are of people
    assert [concept.forms for concept in only if concept.name == "tench"] == [("tench", "Tinca tinca")]


def test_classes_are_drawn_by_name_so_that_more_leave_the_first(bank):
    few, more = (bank([], classes=count) for count in (20, 40))
    assert len(few) == 20
    assert set(few) < set(more)
    assert few == sorted(few) != bank([], seed=1, classes=20)


def test_people_are_left_out_but_on_request(bank):
    people = set(dict(bank([], people=True))) - set(dict(bank([])))
    assert {"ballplayer", "scuba diver", "queen mother"} <= people
    assert not {"person", "dog", "statue", "griffon"} & people


def test_a_request_depends_on_seed_class_and_number_alone(settings):
    params = settings(per_class=2)
    few, many = (requests(concept_bank(params, world), params) for world in (["cat"], ["dog", "cat"]))
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
    asked, again = (requests(concept_bank(params, ["cat"]), params) for _ in range(2))
    assert asked == again
    assert {request.messages[-1][1] for request in asked} == {"6 words: cat, red, one.", "6 words: cat, blue, one."}
    example = (("user", "6 words: fox, green, two."), ("assistant", "Two foxes on green"))
    assert {request.messages[1:3] for request in asked} == {example}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (SLOTTED | {"slots": {"ground": [], "count": ["one"]}}, r"slots\.ground must be a list of at least one value"),
        (SLOTTED | {"slots": SLOTTED["slots"] | {"size": ["big"]}}, r"request must hold .*\{size\}"),
        (
            SLOTTED | {"examples": [{"name": "fox", "caption": "A fox"}]},
            r"examples\[0\] must say caption, count, ground",
        ),
        (SLOTTED | {"slots": SLOTTED["slots"] | {"words": ["9"]}}, "not be called name, words or caption"),
        *(
            ({"request": request}, r"params\.yaml: invent\.prompt\.request")
            for request in ("no field", "{name} {colour}", "{name} {", "{name} {0}", "{words}", "{name} {}")
        ),
    ],
)
def test_slots_request_and_examples_must_agree(settings, changed, named):
    with pytest.raises(ValueError, match=named):
        requests([], settings(prompt=replace(settings().prompt, **changed)))
