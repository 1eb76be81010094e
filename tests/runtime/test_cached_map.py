"""What a killed run had finished is not done again."""

import pytest

from synthpairs.core.storage import WorkStore
from synthpairs.runtime.cached_map import in_pieces


def test_a_killed_run_works_only_on_what_is_missing(tmp_path, monkeypatch, edit_code):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr("synthpairs.runtime.cached_map.PIECE", 2)
    seen = []

    def work(piece, kill_at=""):
        if kill_at in piece:
            raise KeyboardInterrupt
        seen.extend(piece)
        return [text.upper() for text in piece]

    items = ["a", "b", "c", "d", "e"]
    with WorkStore("captions", "test").locked() as store:
        with pytest.raises(KeyboardInterrupt):
            in_pieces(store, "write", items, lambda piece: work(list(piece), kill_at="c"))
        assert in_pieces(store, "write", items, lambda piece: work(list(piece))) == list("ABCDE")
        assert seen == items
    edit_code()
    with WorkStore("captions", "test").locked() as store:
        assert in_pieces(store, "write", items, lambda piece: [text * 2 for text in piece])[0] == "aa"
