"""Models that params name by a directory, or as OWNER/NAME@REVISION of a model on the hub.

A revision is a commit, a tag or a branch (`refs/pr/N` too); what it was resolved to is recorded beside what is made.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from synthpairs.core.storage import file_sha256

# Of a hub model: no code, no pickles, no other formats.
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def fetch_model(model: str, revision: str, files: Sequence[str] = FILES) -> str:
    """Fetch a model's weights, configurations and vocabularies, and no code; returns the directory."""
    from huggingface_hub import snapshot_download  # takes half a second to import

    return snapshot_download(model, revision=revision, allow_patterns=list(files))


def model_folder(name: str, key: str, fetch: Callable[..., str] = fetch_model, made_by: str | None = None) -> Path:
    """The model's directory; one of the hub is fetched first by `fetch(model, revision=...)`, which chooses the files.

    FileNotFoundError names the param `key` when `name` is neither, and what makes the usual directory, if `made_by` says it;
    OSError or ValueError does when the hub does not give it.
    """
    if Path(name).is_dir():
        return Path(name)
    model, _, revision = name.partition("@")
    if not revision or model.count("/") != 1:
        directory = f"a directory ({made_by})" if made_by else "a directory"
        raise FileNotFoundError(
            f"params.yaml: {key}: {name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model"
        )
    from huggingface_hub.errors import RevisionResolutionError  # takes half a second to import

    try:
        return Path(fetch(model, revision=revision))
    except (OSError, ValueError, RevisionResolutionError) as error:
        kind = ValueError if isinstance(error, ValueError) and not isinstance(error, OSError) else OSError
        raise kind(f"params.yaml: {key}: {_refused(error, model, revision)}") from None


def hub_record(name: str, folder: Path) -> dict[str, str] | None:
    """What a model of the hub was: its name, the commit that its revision meant, and the hash of its files.

    None for a directory, whose files DVC watches. `commit` is empty when `folder` lies in no snapshot, whose name is its commit.
    """
    if Path(name).is_dir():
        return None
    commits = [part for part in folder.parts if re.fullmatch(r"[0-9a-f]{40}", part)]
    return {"model": name, "commit": commits[-1] if commits else "", "sha256": file_sha256(folder)}


def _refused(error: Exception, model: str, revision: str) -> str:
    """Why the hub did not give a model, and what helps."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):  # a kind of RepositoryNotFoundError
        return f"{model} is gated: ask for access on its page, then log in (`hf auth login`, or HF_TOKEN)"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{model} has no revision {revision!r}: name a commit, a tag or a branch"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"the hub has no model {model}, or it is private and you are not logged in (`hf auth login`, or HF_TOKEN)"
        )
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled | errors.RevisionResolutionError):
        return f"{model}@{revision} is not in the local cache, and the hub cannot be reached (is HF_HUB_OFFLINE set?)"
    return f"{model}@{revision} cannot be fetched: {' '.join(str(error).split())}"
