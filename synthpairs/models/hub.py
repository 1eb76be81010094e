"""Models that params name by a directory, or as OWNER/NAME@REVISION of a model on the hub.

A revision is a commit, a tag or a branch (`refs/pr/N` too); the commit that it was resolved to is recorded in the metrics.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from synthpairs.core.storage import file_sha256

_TIMEOUT_S = 5  # of a question about a model
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")  # no code, no pickles
UNKNOWN = "unknown"  # licence
CONVERTED = "converted_from.json"  # in a directory of weights that were pickles: the model that they are from


def fetch_model(model: str, revision: str, files: Sequence[str] = FILES) -> str:
    """Download a model's safetensors, configurations and vocabularies; returns the directory."""
    from huggingface_hub import snapshot_download  # takes half a second to import

    return snapshot_download(model, revision=revision, allow_patterns=list(files))


def model_folder(name: str, key: str, fetch: Callable[..., str] = fetch_model, made_by: str | None = None) -> Path:
    """The model's directory; a hub model is downloaded first by `fetch(model, revision=...)`.

    FileNotFoundError names the param `key` when `name` is neither a directory nor a hub model, and how the usual directory is
    made (`made_by`); OSError or ValueError when the hub refuses.
    """
    return locate_model(name, f"params.yaml: {key}: ", fetch, made_by)


def locate_model(name: str, where: str, fetch: Callable[..., str] = fetch_model, made_by: str | None = None) -> Path:
    """As `model_folder`, of a name that need not be a param's: errors begin with `where`."""
    if Path(name).is_dir():
        return Path(name)
    model, _, revision = name.partition("@")
    if not revision or model.count("/") != 1:
        directory = f"a directory ({made_by})" if made_by else "a directory"
        if re.fullmatch(r"[\w.-]+/[\w.-]+@?", name) and not Path(name).parent.is_dir():
            raise FileNotFoundError(
                f"{where}{name!r} lacks the revision of a hub model: write {model}@REVISION (a commit, a tag or a "
                f"branch), or name {directory}"
            )
        raise FileNotFoundError(f"{where}{name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model")
    from huggingface_hub import errors, hf_hub_download  # takes half a second to import

    refusals = (OSError, ValueError, errors.RevisionResolutionError, errors.HTTPError)
    try:
        folder = Path(fetch(model, revision=revision))
    except refusals as error:
        kind = ValueError if isinstance(error, ValueError) and not isinstance(error, OSError) else OSError
        raise kind(f"{where}{_hub_error(error, model, revision)}") from None
    with suppress(*refusals):  # a model may do without a card
        hf_hub_download(model, "README.md", revision=revision, cache_dir=_cards())
    return folder


def _cards() -> Path:
    """Cache of model cards; not beside the weights, as a further file would change the hash of their directory."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "synthpairs/cards"


def licence(name: str) -> str:
    """The licence that a hub model's card states, as `openrail++`; UNKNOWN without one.

    Reads the card that was cached when the model was fetched, and asks no network.
    """
    from huggingface_hub import ModelCard, try_to_load_from_cache

    model, _, revision = name.partition("@")
    try:
        card = try_to_load_from_cache(model, "README.md", _cards(), revision)
        data = ModelCard.load(card, ignore_metadata_errors=True).data if isinstance(card, str) else {}
    except Exception:  # a card is anybody's text, and of several errors of YAML none may end a stage
        return UNKNOWN
    stated = data.get("license")
    stated = data.get("license_name") or stated if stated == "other" else stated
    return ", ".join(stated) if isinstance(stated, list) else str(stated or UNKNOWN)


def require_safetensors(folder: Path, name: str, key: str) -> None:
    """ValueError that names the param and the command to type, when the model's directory holds no *.safetensors."""
    if not any(folder.rglob("*.safetensors")):
        raise ValueError(f"params.yaml: {key}: {name} {no_safetensors(name)}")


def no_safetensors(name: str) -> str:
    """What messages say of a model without safetensors, after its name: what to do about it."""
    stem = name.partition("@")[0].rpartition("/")[2]
    out = f"{Path(name)}-safetensors" if Path(name).is_dir() else f"models/{stem}"
    return (
        "has no *.safetensors, and nothing else is loaded; if it has pytorch_model*.bin, run "
        f"`python -m synthpairs safetensors {name} {out}` and name {out}"
    )


def hub_record(name: str, folder: Path) -> dict[str, str] | None:
    """Record of a hub model: its name, the commit that its revision was resolved to, and the hash of its files.

    None for a directory, but for one that was converted: then of the model that it is from. `commit` is empty when `folder` is in
    no snapshot named by its commit.
    """
    commit = snapshot_commit(folder)
    if Path(name).is_dir():
        if not (folder / CONVERTED).is_file():
            return None
        source = json.loads((folder / CONVERTED).read_text())
        name, commit = source["model"], source["commit"]
    return {"model": name, "commit": commit, "sha256": file_sha256(folder)}


def with_licences(records: Mapping[str, dict[str, str] | None]) -> dict[str, dict[str, str]]:
    """Each record of a hub model, by key, with the model's licence; what has no record is left out."""
    return {key: record | {"licence": licence(record["model"])} for key, record in records.items() if record}


def snapshot_commit(folder: Path) -> str:
    """The commit whose snapshot a directory of the hub's cache is; empty for other directories."""
    return next((part for part in reversed(folder.parts) if re.fullmatch(r"[0-9a-f]{40}", part)), "")


def unavailable(name: str, suffix: str) -> str | None:
    """Why a hub model's files cannot be fetched, None if they can; fetches nothing.

    With HF_HUB_OFFLINE the cache must hold it, else the hub list files with that suffix; TimeoutError when it is not reached.
    """
    from huggingface_hub import HfApi, constants, errors

    model, _, revision = name.partition("@")
    if constants.is_offline_mode():
        folder = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
        if (folder / "refs" / revision).exists() or (folder / "snapshots" / revision).is_dir():
            return None
        return f"HF_HUB_OFFLINE is set, and {folder} does not hold it: download it elsewhere, or name a directory"
    try:
        info = HfApi().model_info(model, revision=revision, timeout=_TIMEOUT_S)
        if info.gated:
            HfApi().auth_check(model)
    except errors.HfHubHTTPError as error:
        return _hub_error(error, model, revision)
    except errors.HTTPError as error:
        raise TimeoutError(f"the hub cannot be reached ({type(error).__name__})") from None
    if any(file.rfilename.endswith(suffix) for file in info.siblings or ()):
        return None
    return (
        no_safetensors(name)
        if suffix == ".safetensors"
        else f"has no *{suffix}: name a revision that has, or a directory"
    )


def _hub_error(error: Exception, model: str, revision: str) -> str:
    """Why the hub refused, and what to do."""
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
    if isinstance(error, errors.HTTPError) and not isinstance(error, errors.HfHubHTTPError):  # of the connection
        return (
            f"{model}@{revision} cannot be fetched: the connection breaks off ({type(error).__name__}): run it again, which "
            f"keeps complete files, or fetch it by `hf download {model} --revision {revision}`"
        )
    return f"{model}@{revision} cannot be fetched: {' '.join(str(error).split())}"
