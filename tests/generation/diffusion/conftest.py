"""Settings that paint with the tiny generator in a second, and models beside it."""

import pytest

from synthpairs.generation.diffusion.params import Images
from tests.generation.conftest import captions  # noqa: F401


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Directory of a pipeline as SDXL's base."""
    from tests.generation.diffusion import tiny

    return tiny.sdxl(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def refiner(tmp_path_factory):
    """Directory of a pipeline as SDXL's refiner."""
    from tests.generation.diffusion import tiny

    return tiny.refiner(tmp_path_factory.mktemp("refiner"))


@pytest.fixture
def settings(tiny_generator, tmp_path, monkeypatch):
    """Makes params for the tiny generator; the work store goes to the test's own directory."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    values = {
        "generator": str(tiny_generator), "refiner": None, "vae": None, "lora": None, "candidates": 2,
        "draft": None, "limit": None, "steps": 2, "guidance": 3.0, "negative_prompt": None, "side": 32,
        "scheduler": None, "scheduler_options": None, "max_sequence_length": None, "long_prompts": "cut",
        "dtype": "float32", "batch": 4, "format": "png", "mark": True, "samples_per_shard": 8,
        "max_failed_share": 0.0,
    }  # fmt: skip
    return lambda **changed: Images(**values | changed)
