import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageOps

from stages.encode_real_pairs import main
from synthpairs.core.schema import CAPTIONS, REAL_PAIRS, caption_uid
from synthpairs.core.storage import write_json, write_table
from synthpairs.generation.vq_pairs import captioned
from synthpairs.generation.vq_pairs.encoding import Encoder
from synthpairs.models.vq_tokenizer import load_tokenizer, tokenizer_folder
from tests.generation.masked.conftest import CODES, tiny_masked  # noqa: F401
from tests.hub import COMMIT

SIDE, COUNT = 64, 11  # pixels of the tiny pipeline's pictures; captions, each third without a picture


def encoded(number):
    """A picture of noise in coarse squares that is wider than high."""
    cells = np.random.default_rng(number).integers(256, size=(5, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(cells).resize((160, 100), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def stage(tmp_path, project_root, tiny_masked, monkeypatch):  # noqa: F811
    """Runs the stage on COUNT kept captions, four at a time; takes changes of its params; returns folder and metrics."""
    rows = [
        dict.fromkeys(CAPTIONS.names)
        | {"uid": caption_uid(f"a dog {number}", "cc3m"), "text": f"a dog {number}", "source": "cc3m", "concept": "dog"}
        | ({} if number % 3 == 2 else {"original": encoded(number), "clip_original": 0.3})
        for number in range(COUNT)
    ]
    write_table(tmp_path / "data/captions/kept.parquet", rows, CAPTIONS)
    monkeypatch.setattr(captioned, "CHUNK", 4)

    def run(**changed):
        params = {"source": "captions", "seed": 0, "scenes": 1, "kinds": {}, "used": 100, "tokenizer": str(tiny_masked)}
        root = project_root(world={"concepts": []}, encode_real_pairs=params | changed) or tmp_path
        shutil.rmtree(root / "data/real_pairs", ignore_errors=True)
        main()
        return root / "data/real_pairs", json.loads((root / "reports/metrics/encode_real_pairs.json").read_text())

    return run


def test_captions_with_a_picture_are_encoded_in_order(stage, tiny_masked):  # noqa: F811
    folder, metrics = stage()
    table = pq.read_table(folder / "pairs.parquet")
    assert table.schema.equals(REAL_PAIRS)
    numbers = [number for number in range(COUNT) if number % 3 < 2]
    assert table["text"].to_pylist() == [f"a dog {number}" for number in numbers]
    assert table["key"].to_pylist() == [caption_uid(f"a dog {number}", "cc3m") for number in numbers]
    images = [Image.open(io.BytesIO(encoded(number))) for number in numbers]
    squares = [ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BICUBIC) for image in images]
    pictures = torch.from_numpy(np.stack([np.array(square) for square in squares])).permute(0, 3, 1, 2)
    expected = Encoder(load_tokenizer(tiny_masked, "it")).tokens(pictures, lambda count: None)
    assert np.array_equal(np.stack(table["tokens"].to_numpy()).reshape(-1, 4, 4), expected)
    assert len(np.unique(expected, axis=0)) == len(numbers)
    assert json.loads((folder / "list.json").read_text())["grid"] == [4, 4]
    assert metrics == {
        "used": len(numbers),
        "codes_used": round(len(np.unique(expected)) / CODES, 4),
        "generator_trained_on_these": False,
    }
    first, _ = stage(used=3)
    assert pq.read_table(first / "pairs.parquet").to_pylist() == table.to_pylist()[:3]


def test_a_killed_run_resumes_to_the_same_bytes(stage, monkeypatch):
    folder, _ = stage()
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    sizes, encode = [], Encoder.tokens

    def tokens(encoder, pictures, advance):
        if len(sizes) == 1:
            sizes.append(0)
            raise KeyboardInterrupt
        sizes.append(len(pictures))
        return encode(encoder, pictures, advance)

    monkeypatch.setattr(Encoder, "tokens", tokens)
    with pytest.raises(KeyboardInterrupt):
        stage()
    assert not any(folder.iterdir())
    again, _ = stage()
    assert sizes == [4, 0, 4]  # the first four are there
    assert {path.name: path.read_bytes() for path in again.iterdir()} == whole


def test_a_tokenizer_of_the_hub_and_a_generator_of_these_very_pairs(stage, loopback_hub, tiny_masked):  # noqa: F811
    listed = json.loads((stage()[0] / "list.json").read_text())
    loopback_hub.models["amused/amused-256"] = tiny_masked
    tokenizer_folder.cache_clear()
    folder, metrics = stage(tokenizer="amused/amused-256@main")
    assert json.loads((folder / "list.json").read_text()) == listed
    assert not metrics["generator_trained_on_these"]
    assert metrics["hub"]["commit"] == COMMIT
    assert {name for _, name, _ in loopback_hub.fetched} == {
        "transformer/config.json", "vqvae/config.json", "vqvae/diffusion_pytorch_model.safetensors"
    }  # fmt: skip
    copy = folder.parent / "trained"
    shutil.copytree(tiny_masked, copy)
    write_json(copy / "pairs.json", {name: listed[name] for name in ("sha256", "pairs")})
    assert stage(tokenizer=str(copy))[1]["generator_trained_on_these"]


def test_captions_without_any_picture_are_an_error(stage, tmp_path):
    rows = pq.read_table(tmp_path / "data/captions/kept.parquet").to_pylist()[2:3]
    write_table(tmp_path / "data/captions/kept.parquet", rows, CAPTIONS)
    with pytest.raises(ValueError, match=r"kept\.parquet: no caption has a picture: name a source with pictures in "):
        stage()
