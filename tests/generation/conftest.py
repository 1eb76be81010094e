"""Captions for candidates, and hashes of the files that are made of them."""

import hashlib

import pandas as pd
import pytest

from synthpairs.core.schema import caption_uid, digest

TEXTS = ["a red dog", "two cats", "a bus on blue", "a bell", "three snails", "a rose", "a guitar, drawing", "fire"]
KEYS = [digest("test", number) for number in range(9)]


def captions_of(texts):
    """The columns of CAPTIONS that candidates are made of."""
    rows = [{"uid": caption_uid(text, "model"), "text": text, "concept": text.split()[-1]} for text in texts]
    return pd.DataFrame(rows)


@pytest.fixture
def captions():
    """Eight short captions."""
    return captions_of(TEXTS)


def contents(folder):
    """Every file's hash by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
