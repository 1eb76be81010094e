"""Every format of stored images goes from the generator through scores and selection to all that reads images after them."""

import io

import datasets
import pandas as pd
import pytest
import webdataset
from PIL import Image

from synthpairs.core.schema import BENCHMARK, CAPTIONS, REJECTED
from synthpairs.core.storage import read_bytes, write_bytes, write_table
from synthpairs.evaluation.contamination.make import measure_contamination
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.generation.diffusion.make import SOURCE_TYPE, make_images
from synthpairs.generation.diffusion.replay import replay
from synthpairs.report.dataset_card import dataset_card
from synthpairs.report.gallery.make import encode, image_files
from synthpairs.report.samples import synthetic_cells
from synthpairs.scoring.check import reference_ssim
from synthpairs.scoring.score import score_images
from synthpairs.selection.export import export_selection
from synthpairs.selection.make import make_selection
from synthpairs.selection.training_pairs import load_training_pairs
from tests.generation.diffusion.conftest import settings as image_settings  # noqa: F401
from tests.report.gallery.conftest import PARAMS as GALLERY
from tests.scoring.conftest import plain_cosine
from tests.scoring.conftest import settings as score_settings  # noqa: F401
from tests.selection.conftest import CURATION, LANGUAGE_MODEL, TEXTS, caption_row, pictures_of
from tests.selection.conftest import settings as select_settings  # noqa: F401

CONTAMINATION = Contamination(
    hash_distance=0, caption_ngram=2, caption_share=0.5, cosine_min=None, text=False, nsfw=None, max_failed_share=0.0
)
FORMATS = {"png": ("png", None), "webp": ("webp", None), "lossy webp": ("webp", 60), "jpg": ("jpg", 60)}


def decoded(payload):
    return Image.open(io.BytesIO(payload)).convert("RGB")


@pytest.fixture(params=FORMATS)
def stored(request, tmp_path, image_settings):  # noqa: F811
    """(params, data folder) with the images of eight captions."""
    form, quality = FORMATS[request.param]
    params, data = image_settings(format=form, quality=quality, candidates=1), tmp_path / "data"
    captions = [caption_row(text, "model", None, 0) for text in TEXTS]
    write_table(data / "captions/kept.parquet", captions, CAPTIONS)
    write_table(data / "captions/rejected.parquet", [], REJECTED)
    make_images(pd.DataFrame(captions), params, data / "images")
    return params, data


def test_scores_are_of_the_stored_file(stored, score_settings):  # noqa: F811
    params, data = stored
    scores = score_settings()
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    metrics, _ = score_images(manifest, scores, data / "images", data / "scores")
    assert (metrics["n"], metrics["failed"]) == (8, 0)
    table = pd.read_parquet(data / "scores/scores.parquet").set_index("key")
    for key, members in pictures_of(data / "images").items():
        assert SOURCE_TYPE.encode() in members[params.format]
        image = decoded(members[params.format])
        assert table.at[key, "ssim"] == pytest.approx(reference_ssim(image, scores.ssim), abs=1e-6)
        text = f"A photo depicts {members['txt'].decode()}"
        assert table.at[key, "clip_cosine"] == pytest.approx(plain_cosine(scores.clip, image, text), abs=1e-5)


def test_whatever_reads_images_reads_this_format(stored, score_settings, select_settings, monkeypatch):  # noqa: F811
    params, data = stored
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    score_images(manifest, score_settings(), data / "images", data / "scores")
    select = select_settings(num_pairs=5)
    make_selection(select, ["selected"], data, data / "selection")
    export_selection(select.samples_per_shard, data, data / "export")
    write_bytes(data / "export/README.md", dataset_card(select, CURATION, LANGUAGE_MODEL, ["selected"], data).encode())
    images = {key: members[params.format] for key, members in pictures_of(data / "images").items()}
    assert {key: read_bytes(image) for key, _, image in load_training_pairs("selected", data)}.items() <= images.items()
    assert {cell.image for cell in synthetic_cells(manifest, data)} == set(images.values())
    rows = dict.fromkeys(("real", "rejected"), pd.DataFrame(columns=["id", "uid"]))
    shown = image_files(rows | {"candidate": manifest.rename(columns={"key": "id"})}, data, GALLERY)
    assert {row: image for row, _, image in shown} == {
        f"candidate:{key}": encode(image, GALLERY) for key, image in images.items()
    }
    write_table(data / "tasks/vqa.parquet", [], BENCHMARK)
    measure_contamination(CONTAMINATION, score_settings(), data, data / "contamination")
    assert pd.read_parquet(data / "contamination/contamination.parquet")["error"].isna().all()
    assert replay(manifest["key"][0], params, data / "images").equal_bytes
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    pairs = datasets.load_dataset(str(data / "export"), split="train", cache_dir=str(data / "cache"))
    shards = sorted(map(str, (data / "export").glob("shard-*.tar")))
    tars = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple(params.format)
    for sizes in ([row[params.format].size for row in pairs], [image.size for (image,) in tars]):
        assert sizes == [(32, 32)] * 5
    card = (data / "export/README.md").read_text()
    assert f"{params.format.upper()}, {'lossless' if params.quality is None else 'quality 60'} |" in card


@pytest.mark.parametrize(
    ("form", "quality", "message"),
    [
        ("jpg", None, "quality must be from 1 to 100 for the format jpg"),
        ("png", 95, "quality must be null for the format png"),
    ],
)
def test_a_format_that_cannot_have_the_quality_is_an_error(image_settings, form, quality, message):  # noqa: F811
    with pytest.raises(ValueError, match=message):
        image_settings(format=form, quality=quality)


def test_lower_quality_takes_fewer_bytes_and_is_another_generator(image_settings, tmp_path):  # noqa: F811
    captions = pd.DataFrame([caption_row("a red dog", "model", None, 0)])
    sizes, keys = {}, set()
    for quality in (30, 60, 95):
        make_images(captions, image_settings(format="jpg", quality=quality), tmp_path / f"{quality}")
        images = pictures_of(tmp_path / f"{quality}")
        keys |= images.keys()
        sizes[quality] = sum(len(members["jpg"]) for members in images.values())
    assert sizes[30] < sizes[60] < sizes[95]
    assert len(keys) == 6
