"""Ids are functions of content alone; key columns have one type in all tables."""

import pyarrow as pa
import pytest

from synthpairs.core import schema
from synthpairs.core.schema import candidate_key, caption_uid, digest, noise_seed, normalise


@pytest.mark.parametrize(
    ("text", "same"),
    [("a dog", "  a\tdog\n"), ("a dog", "a\u00a0dog"), ("ffi", "\ufb03"), ("caf\u00e9", "cafe\u0301"), ("", " \n ")],
)
def test_spellings_of_one_caption_share_its_uid(text, same):
    assert normalise(normalise(same)) == normalise(same) == normalise(text)
    assert caption_uid(same, "human") == caption_uid(text, "human")


def test_uids_differ_by_text_and_source_and_any_text_has_one():
    captions = [("a dog", "human"), ("a dog", "model"), ("A dog", "human")]
    captions += [(text, "human") for text in ("\x00", "\ud800", "\U0001f436", "x" * 100_000)]
    uids = {caption_uid(*caption) for caption in captions} | {digest("a dog")}
    assert len(uids) == len(captions) + 1
    assert all(len(uid) == 24 and int(uid, 16) >= 0 for uid in uids)


def test_digests_do_not_run_parts_together():
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"]), digest("ab", "c", None)}) == 5
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_ids_do_not_change():
    """A change here invalidates all stored pictures and scores."""
    uid = caption_uid("a dog on a red background", "human")
    key = candidate_key(uid, 0, "generator")
    assert (uid, key, noise_seed(key)) == ("10a680fd46f684f80bd6a1b7", "04f85f34c791e6d5945a8421", 179070425333560170)


@pytest.mark.parametrize("column", ["uid", "key", "concept", "shard", "drawings", "picture"])
def test_a_column_has_one_type_in_all_tables(column):
    tables = [value for value in vars(schema).values() if isinstance(value, pa.Schema) and column in value.names]
    assert len({table.field(column).type for table in tables}) == 1
