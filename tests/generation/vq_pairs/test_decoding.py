import io

import numpy as np
import pytest
import torch
from PIL import Image

from synthpairs.generation.vq_pairs.decoding import pictures
from synthpairs.models.vq_tokenizer import load_tokenizer
from tests.generation.vq_pairs.conftest import CODES

GRIDS = list(np.random.default_rng(0).integers(CODES, size=(3, 8, 8)).astype(np.uint16))


def test_pictures_are_those_of_the_vq_model(tmp_path, tiny_vq):
    tiny_vq.save_pretrained(tmp_path / "vqvae")  # without a pixel_range
    vq = load_tokenizer(tmp_path, "it")
    with torch.no_grad():
        codes = torch.from_numpy(np.stack(GRIDS).astype(np.int64))
        plain = vq.decode(codes, force_not_quantize=True, shape=(3, 8, 8, 4)).sample.clamp(0, 1)
    pngs = pictures(GRIDS, str(tmp_path), "it")
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])
    assert pixels == pytest.approx(255 * plain.permute(0, 2, 3, 1).numpy(), abs=0.51)
    assert pictures([grid.copy() for grid in GRIDS], str(tmp_path), "it") == pngs
    with pytest.raises(ValueError, match=rf"token {CODES} lies beyond the codebook of {CODES}"):
        pictures([GRIDS[0], np.full((8, 8), CODES, np.uint16)], str(tmp_path), "it")
