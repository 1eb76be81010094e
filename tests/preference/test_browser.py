"""The booth's page in a real browser. Skipped where no Chromium is on PATH."""

import pytest

from synthpairs.preference.booth import Booth
from synthpairs.preference.votes import read_votes
from tests.gallery.browser import Browser
from tests.preference.conftest import is_red
from tests.preference.test_booth import booth, votes  # noqa: F401

LOADED = "document.documentElement?.dataset.place === '{}'"


@pytest.fixture
def page(browser: Browser, booth: Booth) -> Browser:  # noqa: F811
    """The page, with its first couple in sight."""
    browser.send("Emulation.setDeviceMetricsOverride", width=1100, height=800, deviceScaleFactor=1, mobile=False)
    browser.events.clear()
    browser.send("Page.navigate", url=booth.url)
    browser.wait(LOADED.format(0))
    return browser


def test_arrow_keys_vote_and_take_back(page: Browser, booth: Booth, votes) -> None:  # noqa: F811
    shown = booth.ballot
    for place, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowDown")):
        page.press(key)
        page.wait(LOADED.format(place + 1))
    wanted = [
        "synthetic" if is_red(shown.picture(place, side)) else "real" for place, side in ((0, "left"), (1, "right"))
    ]
    assert [vote.choice for vote in read_votes(votes)] == [*wanted, "tie"]
    assert page.run("document.getElementById('count').textContent") == "3 of 6"
    page.press("ArrowUp")
    page.wait(LOADED.format(2))
    assert len(read_votes(votes)) == 2
    page.run("document.getElementById('right').click()")
    page.wait(LOADED.format(3))
    assert len(read_votes(votes)) == 3


def test_the_page_ends_and_gives_nothing_away(page: Browser, booth: Booth) -> None:  # noqa: F811
    for place in range(6):
        text = page.run("document.documentElement.outerHTML")
        assert booth.ballot.couples[place].couple not in text
        assert booth.ballot.couples[place].text in text
        page.press("ArrowDown")
        page.wait(LOADED.format(place + 1 if place < 5 else "null"))
    assert "last one" in page.run("document.getElementById('caption').textContent")
    assert page.run("document.getElementById('left').disabled && !document.getElementById('undo').disabled")
    assert all(problem.startswith(booth.url) for problem in page.problems())


def test_it_fits_a_small_window(page: Browser) -> None:
    page.send("Emulation.setDeviceMetricsOverride", width=390, height=700, deviceScaleFactor=1, mobile=False)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
