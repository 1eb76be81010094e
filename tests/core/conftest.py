"""Small packages to pin."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile

import pytest


def npm_archive(files):
    """A tarball and its integrity in packages.lock.yaml."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, payload in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))
    digest = hashlib.sha512(buffer.getvalue()).digest()
    return buffer.getvalue(), "sha512-" + base64.b64encode(digest).decode()


def wheel(files):
    """A wheel and its integrity in packages.lock.yaml."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, payload in files.items():
            archive.writestr(name, payload)
    return buffer.getvalue(), "sha256-" + hashlib.sha256(buffer.getvalue()).hexdigest()


@pytest.fixture
def pin(project_root):
    """Makes a package of files, pins it in the project's lock file and puts it into the cache of `fetch`."""
    root = project_root()
    cache, lock = root / ".dvc/tmp/packages", {"emoji": [], "names": [], "models": []}
    cache.mkdir(parents=True)

    def add(section, name, files, **more):
        payload, integrity = (wheel if section == "models" else npm_archive)(files)
        (cache / f"{name}-1.0.0{'.whl' if section == 'models' else '.tgz'}").write_bytes(payload)
        lock[section].append({"package": name, "version": "1.0.0", "licence": "MIT", "integrity": integrity} | more)
        (root / "packages.lock.yaml").write_text(json.dumps(lock))

    return add
