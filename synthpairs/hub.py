"""Models that params name by a directory, or as OWNER/NAME@REVISION of a model on the hub."""

import re
from collections.abc import Callable
from pathlib import Path

from synthpairs.storage import file_sha256


def model_folder(name: str, key: str, fetch: Callable[..., str], made_by: str | None = None) -> Path:
    """The model's directory; one of the hub is fetched first by `fetch(model, revision=...)`, which chooses the files.

    FileNotFoundError names the param `key` when `name` is neither, and what makes the usual directory, if `made_by` says it.
    """
    if Path(name).is_dir():
        return Path(name)
    model, _, revision = name.partition("@")
    if not revision or model.count("/") != 1:
        directory = f"a directory ({made_by})" if made_by else "a directory"
        raise FileNotFoundError(
            f"params.yaml: {key}: {name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model"
        )
    return Path(fetch(model, revision=revision))


def hub_record(name: str, folder: Path) -> dict[str, str] | None:
    """What a model of the hub was: its name, the commit that its revision meant, and the hash of its files.

    None for a directory, whose files DVC watches. `commit` is empty when `folder` lies in no snapshot, whose name is its commit.
    """
    if Path(name).is_dir():
        return None
    commits = [part for part in folder.parts if re.fullmatch(r"[0-9a-f]{40}", part)]
    return {"model": name, "commit": commits[-1] if commits else "", "sha256": file_sha256(folder)}
