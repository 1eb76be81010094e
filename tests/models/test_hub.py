"""A model's name in params: what is a directory, what is fetched, and what is neither."""

import re

import pytest

from synthpairs.models.hub import model_folder


def test_a_hub_model_is_fetched_at_its_revision(tmp_path):
    asked = []

    def fetch(model, revision):
        asked.append((model, revision))
        return str(tmp_path)

    assert model_folder("owner/name@v1", "images.generator", fetch) == tmp_path
    assert asked == [("owner/name", "v1")]


@pytest.mark.parametrize("name", ["models/none", "owner/name@", "name@v1", "a/b/c@v1"])
@pytest.mark.parametrize("made_by", [None, "`dvc repro z` makes it"])
def test_anything_else_names_the_param_and_what_makes_the_directory(name, made_by):
    directory = f"a directory ({made_by})" if made_by else "a directory"
    message = f"params.yaml: x.y: {name!r} is neither {directory} nor OWNER/NAME@REVISION of a hub model"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        model_folder(name, "x.y", None, made_by=made_by)
