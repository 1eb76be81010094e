"""Any image classifier serves: its probabilities are those of transformers' own pipeline, whatever the batch's company."""

from pathlib import Path

import pytest
import transformers

from synthpairs.audit.nsfw import Classifier
from synthpairs.audit.params import Nsfw
from tests.scores.conftest import photo


def params(classifier: Path, **changed: object) -> Nsfw:
    return Nsfw(**{"model": str(classifier), "label": "nsfw", "min": 0.5, "batch": 4} | changed)  # type: ignore[arg-type]


def test_probabilities_are_those_of_the_librarys_pipeline(classifier: Path) -> None:
    pictures = [photo(32, seed) for seed in range(6)]
    found = [row["nsfw"] for row in Classifier(params(classifier)).take(pictures)]
    reference = transformers.pipeline("image-classification", model=str(classifier), device="cpu")
    for value, scores in zip(found, reference(pictures), strict=True):
        assert value == pytest.approx(next(row["score"] for row in scores if row["label"] == "nsfw"), abs=1e-5)
    assert len(set(found)) == 6


def test_company_does_not_matter(classifier: Path) -> None:
    loaded = Classifier(params(classifier))
    pictures = [photo(32, seed) for seed in range(6)]
    assert loaded.take(pictures) == [row for picture in pictures for row in loaded.take([picture])]
    assert loaded.inputs["weights"] == Classifier(params(classifier)).inputs["weights"]


def test_a_label_or_model_that_is_none_is_named(classifier: Path) -> None:
    with pytest.raises(ValueError, match=r"audit.nsfw.label must be one of normal, nsfw for .* got 'safe'"):
        Classifier(params(classifier, label="safe"))
    with pytest.raises(
        FileNotFoundError, match=r"audit.nsfw.model: 'x' is neither a directory nor OWNER/NAME@REVISION"
    ):
        Classifier(params(classifier, model="x"))
