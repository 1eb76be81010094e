"""The classes of the concept bank, and the prompts about them."""

from dataclasses import replace

import pytest

from synthpairs.captions.class_prompting.bank import concept_bank
from synthpairs.captions.class_prompting.params import ImageNet
from synthpairs.captions.class_prompting.prompts import make_requests
from tests.captions.class_prompting.conftest import WORLD


@pytest.fixture
def bank(settings):
    """Names and banks of the concepts of `world` and of ImageNet."""

    def names(world, seed=0, **changed):
        imagenet = replace(ImageNet(subset="imagenet-21k-miil", classes=None, people=False), **changed)
        concepts = concept_bank(settings(seed=seed, banks=["world", "imagenet"], imagenet=imagenet), world)
        return [(concept.name, concept.bank) for concept in concepts]

    return names


def test_names_are_unique_and_the_first_bank_has_precedence(bank, settings):
    both = bank(["cat", "dog", "anchor"])
    assert both[:3] == [("cat", "world"), ("dog", "world"), ("anchor", "world")]
    assert len(dict(both)) == len(both) > 9000
    only = concept_bank(settings(banks=["imagenet"]), WORLD)
    assert len(only) == 998 - 3  # crane and maillot are two classes each, and three are of people
    assert [concept.forms for concept in only if concept.name == "tench"] == [("tench", "Tinca tinca")]


def test_a_larger_number_of_classes_contains_the_smaller_one(bank):
    few, more = (bank([], classes=count) for count in (20, 40))
    assert len(few) == 20
    assert set(few) < set(more)
    assert few == sorted(few) != bank([], seed=1, classes=20)


def test_people_are_left_out_unless_requested(bank):
    people = set(dict(bank([], people=True))) - set(dict(bank([])))
    assert {"ballplayer", "scuba diver", "queen mother"} <= people
    assert not {"person", "dog", "statue", "griffon"} & people


def test_a_request_depends_only_on_seed_class_and_number(settings):
    params = settings(per_class=2)
    few, many = (make_requests(concept_bank(params, world), params) for world in (["cat"], ["dog", "cat"]))
    assert few == many[2:]
    assert len({request.seed for request in many}) == 4
    assert few[0].messages == (
        ("system", "You write captions."),
        ("user", "Write one caption of 6 words. Subject: fox."),
        ("assistant", "A fox on a hill"),
        ("user", "Write one caption of 6 words. Subject: cat."),
    )
    assert make_requests(concept_bank(params, ["cat"]), settings(per_class=2, seed=1))[0].seed != few[0].seed


SLOTTED = {
    "request": "{words} words: {name}, {ground}, {count}.",
    "slots": {"ground": ["red", "blue"], "count": ["one"]},
    "examples": [{"name": "fox", "ground": "green", "count": "two", "caption": "Two foxes on green"}],
}


def test_slot_values_are_drawn_by_the_seed_of_each_caption(settings):
    params = settings(per_class=16, prompt=replace(settings().prompt, **SLOTTED))
    asked, again = (make_requests(concept_bank(params, ["cat"]), params) for _ in range(2))
    assert asked == again
    assert {request.messages[-1][1] for request in asked} == {"6 words: cat, red, one.", "6 words: cat, blue, one."}
    example = (("user", "6 words: fox, green, two."), ("assistant", "Two foxes on green"))
    assert {request.messages[1:3] for request in asked} == {example}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (SLOTTED | {"slots": {"ground": [], "count": ["one"]}}, r"slots\.ground must be a list of at least one value"),
        (SLOTTED | {"slots": SLOTTED["slots"] | {"size": ["big"]}}, r"request must contain .*\{size\}"),
        (
            SLOTTED | {"examples": [{"name": "fox", "caption": "A fox"}]},
            r"examples\[0\] must have the keys caption, count",
        ),
        (SLOTTED | {"slots": SLOTTED["slots"] | {"words": ["9"]}}, "not be called name, words or caption"),
        *(
            ({"request": request}, r"params\.yaml: class_captions\.prompt\.request")
            for request in ("no field", "{name} {colour}", "{name} {", "{name} {0}", "{words}", "{name} {}")
        ),
    ],
)
def test_slots_request_and_examples_must_agree(settings, changed, message):
    with pytest.raises(ValueError, match=message):
        make_requests([], settings(prompt=replace(settings().prompt, **changed)))
