"""Old names of params lead to the new ones, in errors and in CHANGELOG.md."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pytest

from synthpairs.core.config import convert, convert_section, read_mapping
from synthpairs.core.renamed_params import KEYS, SECTIONS

ROOT = Path(__file__).parents[2]
OPTIONAL = {"images.draft", "contamination.nsfw"}  # sections that are null in params.yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    num_pairs: int
    seed: int


def test_new_names_are_those_of_params_yaml_and_old_ones_are_not():
    params = read_mapping(ROOT / "params.yaml")
    assert SECTIONS.keys().isdisjoint(params)
    assert set(SECTIONS.values()) <= params.keys()
    for section, keys in KEYS.items():
        values = reduce(lambda mapping, key: mapping[key], section.split("."), params)
        if section not in OPTIONAL:
            assert keys.keys().isdisjoint(values), section
            shared = {"projector_init"} if section == "pretrain_tokens" else set()  # the resampler has no such start
            assert set(keys.values()) - shared <= values.keys(), section


def test_the_changelog_has_them_all():
    text = (ROOT / "CHANGELOG.md").read_text()
    names = [*SECTIONS.items(), *(item for keys in KEYS.values() for item in keys.items())]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    missing = [
        (old, new)
        for old, new in names
        if not any(f"{old}`" in row and f"`{new}`" in row.replace(f".{new}`", f"`{new}`") for row in rows)
    ]
    assert missing == []


def test_an_old_key_is_an_error_that_names_the_new_one():
    with pytest.raises(ValueError, match=r"^params\.yaml: select\.k is called num_pairs now$"):
        convert(Select, {"k": 5, "seed": 0}, "params.yaml: select")
    with pytest.raises(
        ValueError, match=r"select\.size is not a known key; .*; params\.yaml: select\.num_pairs is missing"
    ):
        convert(Select, {"size": 5, "seed": 0}, "params.yaml: select")


def test_an_old_section_is_an_error_that_names_the_new_one():
    with pytest.raises(ValueError, match=r"^params\.yaml: section 'emoji' is missing: 'art' is called 'emoji' now$"):
        convert_section(dict, "emoji", {"art": {}})
