"""Identities are functions of content alone, and the tables that are joined share their key columns."""

import pyarrow as pa
import pytest

from synthpairs.core import schema
from synthpairs.core.schema import candidate_key, caption_uid, digest, noise_seed, normalise

TABLES = {name: value for name, value in vars(schema).items() if isinstance(value, pa.Schema)}


@pytest.mark.parametrize(
    ("text", "same"),
    [("a dog", "  a\tdog\n"), ("a dog", "a\u00a0dog"), ("ffi", "\ufb03"), ("caf\u00e9", "cafe\u0301"), ("", " \n ")],
)
def test_spellings_of_one_caption_share_its_uid(text, same):
    assert normalise(same) == normalise(text)
    assert normalise(normalise(same)) == normalise(same)
    assert caption_uid(same, "human") == caption_uid(text, "human")


def test_what_differs_gets_another_uid():
    uids = [
        caption_uid("a dog", "human"),
        caption_uid("a dog", "model"),
        caption_uid("A dog", "human"),
        digest("a dog"),
    ]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) == 24 and int(uid, 16) >= 0 for uid in uids)


def test_digests_do_not_run_parts_together():
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"]), digest("ab", "c", None)}) == 5
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\U0001f436", "x" * 100_000])
def test_odd_text_has_a_uid(text):
    assert len(caption_uid(text, "human")) == 24


def test_identities_stay_what_they_are():
    """Values written to every table so far; a change here orphans all stored pictures and scores."""
    uid = caption_uid("a dog on a red background", "human")
    key = candidate_key(uid, 0, "generator")
    assert (uid, key, noise_seed(key)) == ("10a680fd46f684f80bd6a1b7", "04f85f34c791e6d5945a8421", 179070425333560170)


def test_tables_that_are_joined_agree_on_their_keys():
    for column in ("uid", "key", "concept", "shard", "drawings", "picture"):
        types = {name: table.field(column).type for name, table in TABLES.items() if column in table.names}
        assert len(set(types.values())) == 1, types
