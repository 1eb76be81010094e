"""A model's name in params: a directory, a hub model, or an error."""

import re

import httpx2
import pytest
from huggingface_hub import errors

from synthpairs.core.storage import file_sha256
from synthpairs.models.hub import UNKNOWN, hub_record, licence, model_folder

RESPONSE = httpx2.Response(404, request=httpx2.Request("GET", "https://hub"))


def test_a_hub_model_is_downloaded_at_its_revision_and_its_commit_recorded(tmp_path):
    calls, snapshot = [], tmp_path / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)

    def fetch(model, revision):
        calls.append((model, revision))
        return str(snapshot)

    assert model_folder("owner/name@v1", "images.generator", fetch) == snapshot
    assert calls == [("owner/name", "v1")]
    record = hub_record("owner/name@v1", snapshot)
    assert (record["model"], record["commit"]) == ("owner/name@v1", "c" * 40)
    assert hub_record(str(tmp_path), tmp_path) is None


@pytest.mark.parametrize("name", ["models/none", "name@v1", "a/b/c@v1", "nowhere"])
@pytest.mark.parametrize("made_by", [None, "`dvc repro z` makes it"])
def test_any_other_name_is_an_error_with_the_param_and_how_the_directory_is_made(name, made_by):
    directory = f"a directory ({made_by})" if made_by else "a directory"
    message = f"params.yaml: x.y: {name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        model_folder(name, "x.y", None, made_by=made_by)


@pytest.mark.parametrize("name", ["owner/name", "owner/name@"])
def test_a_hub_model_without_its_revision_is_told_so(name):
    message = (
        f"^params.yaml: x.y: {name!r} lacks the revision of a hub model: write owner/name@REVISION .*, or name a dir"
    )
    with pytest.raises(FileNotFoundError, match=message):
        model_folder(name, "x.y", None, made_by="`dvc repro z` makes it")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errors.RevisionNotFoundError("404", response=RESPONSE), OSError, "owner/name has no revision 'v1'"),
        (errors.GatedRepoError("403", response=RESPONSE), OSError, "owner/name is gated: ask for access .* log in"),
        (errors.RepositoryNotFoundError("401", response=RESPONSE), OSError, "the hub has no model owner/name"),
        (errors.LocalEntryNotFoundError("no\nnetwork"), OSError, "owner/name@v1 is not in the local cache"),
        (errors.OfflineModeIsEnabled("offline"), OSError, "hub cannot be reached"),
        (errors.RevisionResolutionError("offline"), OSError, "hub cannot be reached"),
        (
            httpx2.ReadTimeout("too long"),
            OSError,
            r"cannot be fetched: the connection breaks off \(ReadTimeout\): run it again",
        ),
        (errors.HFValidationError("bad\nname"), ValueError, "cannot be fetched: bad name"),
    ],
)
def test_an_error_of_the_hub_is_one_line_with_the_param(error, kind, message):
    def refuse(model, revision):
        raise error

    with pytest.raises(kind, match=f"^params.yaml: x.y: .*{message}") as caught:
        model_folder("owner/name@v1", "x.y", refuse)
    assert "\n" not in str(caught.value)


CARDS = {
    "plain": ("license: openrail++", "openrail++"), "own": ("license: other\nlicense_name: stabilityai", "stabilityai"),
    "two": ("license: [mit, apache-2.0]", "mit, apache-2.0"), "silent": ("language: en", UNKNOWN),
    "broken": ("license: [mit", UNKNOWN), "bare": (None, UNKNOWN),
}  # fmt: skip


def test_a_licence_is_the_cards_which_comes_with_the_model_and_stays_out_of_its_directory(
    tmp_path, loopback_hub, monkeypatch
):
    for name, (header, _) in CARDS.items():
        folder = loopback_hub.models[f"owner/{name}"] = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        before = file_sha256(folder)
        if header:
            (folder / "README.md").write_text(f"---\n{header}\n---\n# A model\n")
        assert hub_record(f"owner/{name}@main", model_folder(f"owner/{name}@main", "x.y"))["sha256"] == before
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert {name: licence(f"owner/{name}@main") for name in CARDS} == {
        name: known for name, (_, known) in CARDS.items()
    }
    assert licence("owner/never-fetched@main") == UNKNOWN
