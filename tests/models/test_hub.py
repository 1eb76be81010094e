"""A model's name in params: what is a directory, what is fetched, and what is neither."""

import re

import pytest

from synthpairs.models.hub import model_folder


def refuse(model, revision):
    raise AssertionError("nothing was to be fetched")


def test_a_hub_model_is_fetched_at_its_revision(tmp_path):
    asked = []

    def fetch(model, revision):
        asked.append((model, revision))
        return str(tmp_path)

    assert model_folder("owner/name@v1", "images.generator", fetch) == tmp_path
    assert asked == [("owner/name", "v1")]


@pytest.mark.parametrize("name", ["models/none", "owner/name@", "name@v1", "a/b/c@v1"])
def test_anything_else_names_the_param_and_what_makes_the_directory(name):
    with pytest.raises(
        FileNotFoundError,
        match=re.escape(f"params.yaml: x.y: {name!r} is neither a directory nor OWNER/NAME@REVISION of a hub model"),
    ):
        model_folder(name, "x.y", refuse)
    with pytest.raises(FileNotFoundError, match=re.escape("a directory (`dvc repro z` makes it) nor OWNER")):
        model_folder(name, "x.y", refuse, made_by="`dvc repro z` makes it")
