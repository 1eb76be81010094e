import logging

import numpy as np
import pytest
import torch

from synthpairs.core.determinism import filled, steady_threads
from synthpairs.core.schema import digest
from synthpairs.core.shards import cut, shard_name, write_shards
from synthpairs.core.storage import read_shard
from synthpairs.runtime.progress import progress

KEYS = sorted(digest("key", number) for number in range(1000))


@pytest.mark.parametrize("size", [1, 7, 100, 999, 1000, 5000])
def test_cut_keeps_every_key_in_order(size):
    groups = cut(reversed(KEYS), size)
    assert [key for group in groups for key in group] == KEYS
    assert max(map(len, groups)) <= max(1.5 * size, size + 6)
    assert len(groups) <= 2 * -(-1000 // size)
    before, after = ({shard_name(group) for group in cut(keys, 100)} for keys in (KEYS, [*KEYS, digest("new")]))
    assert len(before - after) == len(after - before) == 1, "a new key changes its own shard only"


def test_write_shards_leaves_no_other_shard(tmp_path):
    write_shards(tmp_path, [("shard-a.tar", [("k", {"txt": b"1"})]), ("shard-b.tar", [])])
    (tmp_path / "manifest.parquet").write_bytes(b"")
    write_shards(tmp_path, [("shard-a.tar", [("k", {"txt": b"2"})])])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.parquet", "shard-a.tar"]
    assert list(read_shard(tmp_path / "shard-a.tar")) == [("k", {"txt": b"2"})]


@pytest.mark.parametrize(("exact_up_to", "expected"), [(2, 2), (1, 1), (0, 2)])
def test_the_most_threads_that_are_exact_are_used(exact_up_to, expected, caplog):
    def copies():
        rows = np.ones((4, 3))
        rows[2, 1] += 1e-9 * (torch.get_num_threads() > exact_up_to)
        return rows

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert steady_threads(copies) == expected
        assert torch.get_num_threads() == 2, "the number of threads was not put back"
    finally:
        torch.set_num_threads(before)
    assert ("a resumed run may differ" in caplog.text) == (exact_up_to == 0)
    assert (filled([1, 2], 4), filled([1, 2], 2)) == ([1, 2, 2, 2], [1, 2]), "batches are always full"


def test_progress_is_logged_without_a_terminal(caplog):
    with caplog.at_level(logging.INFO), progress("images", 4, "pictures") as advance:
        advance(2)
        advance(2)
    assert len(caplog.records) == 1
    assert "images: 4 of 4 pictures, " in caplog.text
    assert "/s, 00:00:00 left" in caplog.text
