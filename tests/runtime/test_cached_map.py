"""A killed run resumes with the batches that it had finished."""

import pytest

from synthpairs.core.storage import WorkStore
from synthpairs.runtime.cached_map import cached_map


def test_a_killed_run_does_only_what_is_missing(tmp_path, monkeypatch, edit_code):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr("synthpairs.runtime.cached_map.BATCH", 2)
    calls = []

    def upper(batch, kill_at=""):
        if kill_at in batch:
            raise KeyboardInterrupt
        calls.extend(batch)
        return [text.upper() for text in batch]

    items = ["a", "b", "c", "d", "e"]
    with WorkStore("captions", "test").locked() as store:
        with pytest.raises(KeyboardInterrupt):
            cached_map(store, "write", items, lambda batch: upper(batch, kill_at="c"))
        assert cached_map(store, "write", items, lambda batch: upper(batch, kill_at="none")) == list("ABCDE")
        assert calls == items
        damaged = sorted(store.path.glob("*.json"))
        for piece, payload in zip(damaged, (b"", b'["A", ', b"[]"), strict=True):
            piece.write_bytes(payload)
        assert cached_map(store, "write", items, lambda batch: upper(batch, kill_at="none")) == list("ABCDE")
        assert calls == [*items, *items], "damaged pieces are made again"
    edit_code()
    with WorkStore("captions", "test").locked() as store:
        assert cached_map(store, "write", items, lambda batch: [text * 2 for text in batch])[0] == "aa"
