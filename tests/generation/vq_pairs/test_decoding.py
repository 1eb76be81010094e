import io

import numpy as np
import pytest
import torch
from PIL import Image

from synthpairs.generation.vq_pairs.decoding import pictures
from synthpairs.models.vq_tokenizer import load_tokenizer
from tests.generation.vq_pairs.conftest import CODES

GRIDS = list(np.random.default_rng(0).integers(CODES, size=(3, 8, 8)).astype(np.uint16))


@pytest.fixture
def pipeline(tmp_path, tiny_vq):
    """Directory of a pipeline whose VQ model says nothing of its range."""
    tiny_vq.save_pretrained(tmp_path / "vqvae")
    return tmp_path


def opened(pngs):
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])


def test_pictures_are_what_the_model_decodes(pipeline):
    vq = load_tokenizer(pipeline, "it")
    with torch.no_grad():
        codes = torch.from_numpy(np.stack(GRIDS).astype(np.int64))
        plain = vq.decode(codes, force_not_quantize=True, shape=(3, 8, 8, 4)).sample.clamp(0, 1)
    assert opened(pictures(GRIDS, pipeline, "it")) == pytest.approx(255 * plain.permute(0, 2, 3, 1).numpy(), abs=0.51)


def test_equal_tokens_give_equal_bytes(pipeline):
    assert pictures(GRIDS, pipeline, "it") == pictures([grid.copy() for grid in GRIDS], pipeline, "it")


def test_a_token_beyond_the_codebook_is_refused(pipeline):
    with pytest.raises(ValueError, match=rf"token {CODES} lies beyond the codebook of {CODES}"):
        pictures([GRIDS[0], np.full((8, 8), CODES, np.uint16)], pipeline, "it")
