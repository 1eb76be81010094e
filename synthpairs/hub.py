"""Models that params name by a directory, or as OWNER/NAME@REVISION of a model on the hub."""

from collections.abc import Callable
from pathlib import Path


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
