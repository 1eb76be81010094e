"""Faster kernels when the engine asks for them: nearly the same pictures, under the same fingerprint."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from synthpairs.images.generator import Generator
from synthpairs.schema import digest
from tests.images.conftest import settings  # noqa: F401

KEYS, CAPTIONS = [digest("test", number) for number in range(4)], ["a red dog", "two cats", "a bell", "fire"]


@pytest.mark.parametrize(
    "name",
    [
        "channels_last",
        pytest.param(
            "compile",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler"),
            ],
        ),
    ],
)
def test_tuned_kernels_paint_nearly_the_same(
    settings,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    plain = Generator(settings())
    pictures = plain.paint(KEYS, CAPTIONS)
    monkeypatch.setenv(f"SYNTHPAIRS_ENGINE_{name.upper()}", "true")
    tuned = Generator(settings())
    assert tuned.fingerprint == plain.fingerprint
    weight = tuned.pipeline.unet.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == (name == "channels_last")
    assert np.abs(tuned.paint(KEYS, CAPTIONS) - pictures).max() < 1e-3
