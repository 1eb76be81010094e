import numpy as np
import pytest
import torch

from synthpairs.generation.diffusion.generator import Generator
from tests.generation.conftest import KEYS, TEXTS


@pytest.mark.parametrize("name", ["channels_last", "compile"])
def test_tuned_kernels_paint_nearly_the_same(settings, monkeypatch, name):
    plain = Generator(settings())
    pictures = plain.paint(KEYS[:4], TEXTS[:4])
    monkeypatch.setenv(f"SYNTHPAIRS_ENGINE_{name.upper()}", "true")
    compile_ = torch.nn.Module.compile  # the graph is taken, but its kernels would take minutes to build on a CPU
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compile_(module, backend="eager"))
    tuned = Generator(settings())
    assert tuned.fingerprint == plain.fingerprint
    unet = tuned.pipeline.unet
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last) == (name == "channels_last")
    assert (unet._compiled_call_impl is not None) == (name == "compile")
    assert np.abs(tuned.paint(KEYS[:4], TEXTS[:4]) - pictures).max() < 1e-3
