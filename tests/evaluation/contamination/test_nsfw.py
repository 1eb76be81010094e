import pytest
import transformers

from synthpairs.evaluation.contamination.nsfw import NsfwClassifier
from synthpairs.evaluation.contamination.params import Nsfw
from tests.scoring.conftest import photo


def params(classifier, **changed):
    return Nsfw(**{"model": str(classifier), "label": "nsfw", "min": 0.5, "batch": 4} | changed)


def test_probabilities_are_those_of_the_librarys_pipeline_whatever_else_is_in_the_batch(classifier):
    loaded = NsfwClassifier(params(classifier))
    images = [photo(32, seed) for seed in range(6)]
    rows = loaded.measure(images)
    reference = transformers.pipeline("image-classification", model=str(classifier), device="cpu")
    for row, scores in zip(rows, reference(images), strict=True):
        assert row["nsfw"] == pytest.approx(next(one["score"] for one in scores if one["label"] == "nsfw"), abs=1e-5)
    assert len({row["nsfw"] for row in rows}) == 6
    assert rows == [row for image in images for row in loaded.measure([image])]
    for changed, message in (
        ({"label": "safe"}, r"audit.nsfw.label must be one of normal, nsfw for .* got 'safe'"),
        ({"model": "x"}, r"audit.nsfw.model: 'x' is neither a directory nor OWNER/NAME@REVI"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            NsfwClassifier(params(classifier, **changed))
