"""Which sets a study compares, and what its section may say."""

import dataclasses

import pytest

from synthpairs.studies.params import GAP, NAMING, UNSEEN, Studies, TrainingSet, planned

STUDIES = Studies(
    seeds=[0, 1], sizes=[8, 16], per_concept=2, guidances=[1.0, 7.5], steps=2, tasks=["desk_vqa"], tuned=["selection"],
    tuned_seeds=2, items=4,
)  # fmt: skip


def test_every_study_but_guidance_compares_with_the_whole_pipeline_and_names_each_set_once():
    for name, study in planned(STUDIES, 32).items():
        assert study.sets[0] == TrainingSet("random" if name == "guidance" else "top", 32), name
        assert len(set(map(str, study.sets))) == len(study.sets), name


def test_the_study_of_sizes_has_every_size_of_synthetic_and_real_pairs():
    sets = planned(STUDIES, 32)["size"].sets
    assert sorted(map(str, sets)) == sorted(f"{way}-{k}" for way in ("top", "real") for k in (8, 16, 32))


def test_benchmarks_are_asked_in_the_studies_that_params_name_and_styles_in_their_own():
    told = {name: study.tasks for name, study in planned(STUDIES, 32).items()}
    assert told["selection"] == [NAMING, "desk_vqa"]
    assert told["ablation"] == told["size"] == told["guidance"] == [NAMING]
    assert told["style"] == [NAMING, UNSEEN, GAP]


def test_a_set_is_called_by_what_sets_it_apart():
    assert [str(chosen) for chosen in planned(STUDIES, 32)["guidance"].sets] == [
        "random-32",
        "guidance-1",
        "guidance-7.5",
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seeds": [0]}, "studies.seeds must be two or more"),
        ({"seeds": [1, 1]}, "studies.seeds"),
        ({"sizes": [16, 8]}, "studies.sizes must rise"),
        ({"guidances": [2.0, 2.0]}, "studies.guidances"),
        ({"tuned_seeds": 3}, "studies.tuned_seeds must be at most the 2 seeds, got 3"),
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
