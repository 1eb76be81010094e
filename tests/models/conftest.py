"""Tiny models, most of them fixtures of other folders."""

import pytest

from synthpairs.models.language.model import load
from tests.captions.conftest import language_model  # noqa: F401
from tests.core.conftest import pin  # noqa: F401
from tests.evaluation.diversity.conftest import encoder_folder  # noqa: F401
from tests.generation.masked.conftest import tiny_masked  # noqa: F401


@pytest.fixture(scope="session")
def lm(language_model):  # noqa: F811
    return load(language_model)
