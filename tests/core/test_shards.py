import pytest

from synthpairs.core.schema import digest
from synthpairs.core.shards import shard_keys, shard_name, write_shards
from synthpairs.core.storage import read_shard

KEYS = sorted(digest("key", number) for number in range(1000))


@pytest.mark.parametrize("size", [1, 7, 100, 999, 1000, 5000])
def test_shards_have_every_key_in_order(size):
    groups = shard_keys(reversed(KEYS), size)
    assert [key for group in groups for key in group] == KEYS
    assert max(map(len, groups)) <= max(1.5 * size, size + 6)
    assert len(groups) <= 2 * -(-1000 // size)


def test_a_new_key_changes_its_own_shard_only():
    before, after = ({shard_name(group) for group in shard_keys(keys, 100)} for keys in (KEYS, [*KEYS, digest("new")]))
    assert len(before - after) == len(after - before) == 1


def test_write_shards_leaves_no_other_shard(tmp_path):
    write_shards(tmp_path, [("shard-a.tar", [("k", {"txt": b"1"})]), ("shard-b.tar", [])])
    (tmp_path / "manifest.parquet").write_bytes(b"")
    write_shards(tmp_path, [("shard-a.tar", [("k", {"txt": b"2"})])])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.parquet", "shard-a.tar"]
    assert list(read_shard(tmp_path / "shard-a.tar")) == [("k", {"txt": b"2"})]
