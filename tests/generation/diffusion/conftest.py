"""Params of the tiny generator, and a tiny SDXL base and refiner."""

import pytest

from synthpairs.generation.diffusion.params import Images
from tests.generation.conftest import captions  # noqa: F401


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Folder of a pipeline like SDXL's base."""
    from tests.generation.diffusion import tiny

    return tiny.sdxl(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def refiner(tmp_path_factory):
    """Folder of a pipeline like SDXL's refiner."""
    from tests.generation.diffusion import tiny

    return tiny.refiner(tmp_path_factory.mktemp("refiner"))


@pytest.fixture
def settings(tiny_generator, tmp_path, monkeypatch):
    """Makes params of the tiny generator; the work store is in tmp_path."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    values = {
        "generator": str(tiny_generator), "refiner": None, "vae": None, "lora": None, "candidates": 2,
        "draft": None, "limit": None, "num_inference_steps": 2, "guidance_scale": 3.0, "negative_prompt": None, "image_size": 32,
        "scheduler": None, "scheduler_options": None, "max_sequence_length": None, "long_prompts": "cut",
        "dtype": "float32", "batch_size": 4, "format": "png", "quality": None, "mark": True, "samples_per_shard": 8,
        "max_failed_share": 0.0,
    }  # fmt: skip
    return lambda **changed: Images(**values | changed)
