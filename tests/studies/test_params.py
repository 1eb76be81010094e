"""Which sets a study compares, and what its section may say."""

import dataclasses

import pytest

from synthpairs.studies.params import Studies, TrainingSet, planned

STUDIES = Studies(seeds=[0, 1], sizes=[8, 16], steps=2, tasks=["desk_vqa"], items=4)


def test_every_study_compares_with_the_whole_pipeline_and_names_each_set_once():
    for name, sets in planned(STUDIES, 32).items():
        assert sets[0] == TrainingSet("top", 32), name
        assert len(set(sets)) == len(sets), name


def test_the_study_of_sizes_has_every_size_of_synthetic_and_real_pairs():
    sets = planned(STUDIES, 32)["size"]
    assert sorted(map(str, sets)) == sorted(f"{way}-{k}" for way in ("top", "real") for k in (8, 16, 32))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seeds": [0]}, "studies.seeds must be two or more"),
        ({"seeds": [1, 1]}, "studies.seeds"),
        ({"sizes": [16, 8]}, "studies.sizes must rise"),
        ({"tasks": ["desk_vqa", "desk_vqa"]}, "studies.tasks"),
        ({"tasks": ["desk_text"]}, "studies.tasks"),
    ],
)
def test_what_makes_no_study_is_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(STUDIES, **changed)


def test_a_size_that_is_no_smaller_than_the_selection_is_refused():
    with pytest.raises(ValueError, match=r"studies\.sizes must be below select\.k \(16\)"):
        planned(STUDIES, 16)
