"""A model's name in params: a directory, a hub model, or an error."""

import re

import pytest

from synthpairs.models.hub import model_folder


def test_a_hub_model_is_downloaded_at_its_revision(tmp_path):
    calls = []

    def fetch(model, revision):
        calls.append((model, revision))
        return str(tmp_path)

    assert model_folder("owner/name@v1", "images.generator", fetch) == tmp_path
    assert calls == [("owner/name", "v1")]


@pytest.mark.parametrize("name", ["models/none", "owner/name@", "name@v1", "a/b/c@v1"])
@pytest.mark.parametrize("made_by", [None, "`dvc repro z` makes it"])
def test_any_other_name_is_an_error_with_the_param_and_how_the_directory_is_made(name, made_by):
    directory = f"a directory ({made_by})" if made_by else "a directory"
    message = f"params.yaml: x.y: {name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        model_folder(name, "x.y", None, made_by=made_by)
