"""A preview generates and scores images of a few captions, changes no outs, and its images are reused."""

import hashlib

import pytest
from PIL import Image

from synthpairs.cli.preview import COLUMNS, preview
from synthpairs.core.schema import CAPTIONS
from synthpairs.core.storage import write_table
from synthpairs.generation.diffusion.make import make_images
from synthpairs.scoring.params import Scores, Ssim
from tests.generation.diffusion.conftest import captions, settings  # noqa: F401
from tests.memory import add_pictures, little_memory
from tests.scoring.conftest import SSIM


@pytest.fixture
def scores(tiny_clip):
    return Scores(clip=f"local-dir:{tiny_clip}", pretrained=None, prefix="", precision="fp32", batch_size=4, ssim=Ssim(**SSIM),
                  max_failed_share=0.0)  # fmt: skip


@pytest.fixture
def data(captions, tmp_path):  # noqa: F811
    (tmp_path / "data/captions").mkdir(parents=True)
    captions.to_parquet(tmp_path / "data/captions/kept.parquet")
    return tmp_path / "data"


def listing(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_images_are_scored_shown_and_reused(
    data, captions, settings, scores, tmp_path  # noqa: F811
):  # fmt: skip
    params, before = settings(), listing(data)
    result = preview(3, params, scores, data, tmp_path / "preview")
    assert len(result.rows) == result.generated == 3 * params.candidates
    assert set(result.rows["uid"]) == set(sorted(captions["uid"])[:3])
    assert result.rows["clip_cosine"].is_monotonic_decreasing
    assert result.rows["ssim"].between(-1, 1).all()
    width, height = Image.open(result.sheet).size
    assert width % COLUMNS == 0
    assert height > 192
    assert listing(data) == before
    again = preview(3, params, scores, data, tmp_path / "again")
    assert again.generated == 0
    assert listing(tmp_path / "again") == listing(tmp_path / "preview")
    _, volatile = make_images(captions, params, tmp_path / "images")
    assert volatile["reused"] == 3 * params.candidates


def test_without_captions_it_is_an_error(data, settings, scores, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match="needs at least one caption, got 0"):
        preview(0, settings(), scores, data, tmp_path / "preview")
    with pytest.raises(ValueError, match="would overwrite the pipeline's images and scores"):
        preview(1, settings(), scores, data, tmp_path / "preview/../data")
    (data / "captions/kept.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="run `dvc repro captions` first"):
        preview(1, settings(), scores, data, tmp_path / "preview")


def test_originals_do_not_have_to_fit_into_memory(data, captions, settings, scores, tmp_path):  # noqa: F811
    preview(1, settings(), scores, data, tmp_path / "preview")  # loads the models
    for name in ("kept", "rejected"):
        rows = [dict.fromkeys(CAPTIONS.names) | row for row in captions.to_dict("records")]
        write_table(data / f"captions/{name}.parquet", rows, CAPTIONS)
    add_pictures(data)
    with little_memory():
        preview(1, settings(), scores, data, tmp_path / "preview")
