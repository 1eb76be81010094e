import logging

from synthpairs.runtime.progress import progress


def test_progress_is_logged_without_a_terminal(caplog):
    with caplog.at_level(logging.INFO), progress("images", 4, "pictures") as advance:
        advance(2)
        advance(2)
    assert len(caplog.records) == 1
    assert "images: 4 of 4 pictures, " in caplog.text
    assert "/s, 00:00:00 left" in caplog.text
