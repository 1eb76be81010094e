"""A preview paints and scores a few captions, leaves the outs alone, and what it painted is not painted again."""

import hashlib

import pytest
from PIL import Image

from synthpairs.cli.preview import COLUMNS, preview
from synthpairs.generation.diffusion.make import make_images
from synthpairs.scoring.params import Scores, Ssim
from tests.generation.diffusion.conftest import captions, settings  # noqa: F401
from tests.scoring.conftest import SSIM


@pytest.fixture
def scores(tiny_clip):
    """Section `scores` with the tiny CLIP."""
    return Scores(clip=f"local-dir:{tiny_clip}", pretrained=None, prefix="", precision="fp32", batch=4, ssim=Ssim(**SSIM),
                  max_failed_share=0.0)  # fmt: skip


@pytest.fixture
def data(captions, tmp_path):  # noqa: F811
    """Curated captions and nothing else."""
    (tmp_path / "data/captions").mkdir(parents=True)
    captions.to_parquet(tmp_path / "data/captions/kept.parquet")
    return tmp_path / "data"


def listing(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_few_captions_are_painted_scored_and_shown(
    data, captions, settings, scores, tmp_path  # noqa: F811
):  # fmt: skip
    params, before = settings(), listing(data)
    made = preview(3, params, scores, data, tmp_path / "preview")
    assert len(made.rows) == made.painted == 3 * params.candidates
    assert set(made.rows["uid"]) == set(sorted(captions["uid"])[:3])
    assert made.rows["clip_cosine"].is_monotonic_decreasing
    assert made.rows["ssim"].between(-1, 1).all()
    width, height = Image.open(made.sheet).size
    assert width % COLUMNS == 0
    assert height > 192
    assert listing(data) == before
    again = preview(3, params, scores, data, tmp_path / "again")
    assert again.painted == 0
    assert listing(tmp_path / "again") == listing(tmp_path / "preview")
    _, volatile = make_images(captions, params, tmp_path / "images")
    assert volatile["reused"] == 3 * params.candidates


def test_it_needs_captions(data, settings, scores, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match="at least one caption"):
        preview(0, settings(), scores, data, tmp_path / "preview")
    (data / "captions/kept.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="run `dvc repro captions` first"):
        preview(1, settings(), scores, data, tmp_path / "preview")
