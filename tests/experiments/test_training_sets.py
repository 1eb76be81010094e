"""Sets that each study compares, and the pairs of every method, with images, from a small project."""

import dataclasses
import hashlib
import io

import pandas as pd
import pytest
from PIL import Image

from synthpairs.core.config import load_params
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.training_sets import TrainingSet, make_pairs, plan_studies
from synthpairs.selection.training_pairs import with_pictures
from tests.generation.diffusion.conftest import settings as images  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401

PARAMS = dataclasses.replace(
    load_params(Experiments, "experiments").strategies, sizes=[8, 16], guidance_scales=[1.0, 7.5]
)


def test_every_study_but_guidance_compares_with_the_main_run_and_has_each_set_once():
    for name, sets in plan_studies(PARAMS, 32).items():
        assert sets[0] == TrainingSet("random" if name == "guidance" else "top", 32), name
        assert len(set(map(str, sets))) == len(sets), name


def test_sets_have_distinct_names_and_are_smaller_than_the_selection():
    studies = plan_studies(PARAMS, 32)
    assert sorted(map(str, studies["size"])) == sorted(
        f"{method}-{k}" for method in ("top", "real") for k in (8, 16, 32)
    )
    assert list(map(str, studies["guidance"])) == ["random-32", "guidance-1", "guidance-7.5"]
    with pytest.raises(ValueError, match=r"strategies\.sizes must be below select\.num_pairs \(16\)"):
        plan_studies(PARAMS, 16)


@pytest.fixture
def make(data, settings, images, tmp_path):  # noqa: F811
    """Makes the table of a set, and its (key, text, image)."""

    def made(method, k, seed=0, guidance=None, **select):
        chosen, params = TrainingSet(method, k, guidance), settings(seed=seed, **select)
        table, folder = make_pairs(chosen, data, params, images(candidates=1), 1, tmp_path / str(chosen))
        return table, list(with_pictures(table, folder))

    return made


def keys(made):
    return [key for key, _, _ in made[1]]


def test_only_random_methods_depend_on_the_seed(make):
    for method in ("top", "bottom", "clip-only", "ssim-only"):
        assert keys(make(method, 3)) == keys(make(method, 3, seed=1))
    assert not set(keys(make("top", 3))) & set(keys(make("bottom", 3)))
    for method in ("random", "real"):
        assert len({tuple(keys(make(method, 1, seed=seed))) for seed in range(6)}) > 1, method


def test_pairs_have_their_own_caption_and_image(make, data):  # noqa: F811
    manifest = pd.read_parquet(data / "images/manifest.parquet").set_index("key")
    for key, text, source in make("top", 4)[1]:
        assert text == manifest.loc[key, "text"]
        assert hashlib.sha256(source.read()).hexdigest() == manifest.loc[key, "sha256"]
    captions = pd.concat([pd.read_parquet(data / f"captions/{name}.parquet") for name in ("kept", "rejected")])
    texts = captions.set_index("uid")["text"]
    assert all(texts[key] == text for key, text, _ in make("real", 4)[1])


def test_an_uncurated_set_has_kept_and_rejected_captions(make, data):  # noqa: F811
    pairs = make("uncurated", 12)[1]
    rejected = set(pd.read_parquet(data / "captions/rejected.parquet")["text"])
    assert len(pairs) == 12
    assert {text in rejected for _, text, _ in pairs} == {True, False}
    assert all(Image.open(io.BytesIO(source.read())).size == (32, 32) for _, _, source in pairs)


def test_too_few_pairs_are_an_error(make):
    with pytest.raises(ValueError, match="8 candidates compete, 9 are needed"):
        make("top", 9)
    with pytest.raises(ValueError, match="4 captions have an original, 5 are needed"):
        make("real", 5)


def test_a_balanced_set_has_the_best_of_every_concept(make):
    best, everyone = (make(method, k, best_of=False)[0] for method, k in (("balanced", 8), ("top", 15)))
    assert best["concept"].is_unique  # without the cap both candidates of a concept would compete
    assert best["score"].tolist() == everyone.groupby("concept")["score"].max().sort_values(ascending=False).tolist()


def test_guidance_sets_have_other_images_of_the_random_captions(make):
    texts = sorted(make("random", 4, seed=1)[0]["text"])
    low, high = ({text: source.read() for _, text, source in make("guidance", 4, 1, scale)[1]} for scale in (1.0, 8.0))
    assert sorted(low) == sorted(high) == texts
    assert all(low[text] != high[text] for text in texts)
