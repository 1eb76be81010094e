"""Vote page: it hides which image is generated, takes votes in a real browser, and saves a file of votes.

The browser's tests are skipped where no Chromium is on PATH.
"""

import json
import re
import shutil
import time
from pathlib import Path

import pytest

from synthpairs.__main__ import main
from synthpairs.evaluation.preference.image_pairs import write_image_pairs
from synthpairs.evaluation.preference.vote_page import read_saved_votes, write_vote_page
from synthpairs.evaluation.preference.votes import VOTES, Vote, read_votes
from tests.evaluation.preference.conftest import SECRET, is_red
from tests.pipeline import ROOT

SHOWN = "document.documentElement?.dataset.index === '{}'"


def read_page(folder):
    """The data of the page's script."""
    return json.loads((folder / "pairs.js").read_text().removeprefix("const PAGE = ").removesuffix(";\n"))


def origin(folder, pair, side):
    """Origin of the image on a side (0: left), by its colour."""
    return "synthetic" if is_red((folder / f"images/{pair['images'][side]}.png").read_bytes()) else "real"


@pytest.fixture
def folder(image_pairs, tmp_path):
    return write_vote_page(image_pairs, "ada", 0, tmp_path / "vote").parent


def test_the_page_reveals_no_origin_and_needs_no_network(image_pairs, folder):
    text = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert all(pair.synthetic_key not in text and pair.real_key not in text for pair in image_pairs)
    assert not any(word in text for word in ("synthetic", "://", SECRET))
    for pair in read_page(folder)["pairs"]:
        assert {origin(folder, pair, 0), origin(folder, pair, 1)} == {"synthetic", "real"}


def test_the_page_has_the_colours_of_the_gallery(folder):
    gallery = (ROOT / "synthpairs/report/gallery/page.css").read_text()
    colours = re.findall(r"(--\w+): light-dark\((.+), (.+)\);", (folder / "vote.css").read_text())
    assert colours
    assert [name for name, *both in colours if re.findall(rf"{name}: (#\w+)", gallery) != both] == []


def test_order_and_sides_are_drawn_for_each_voter(image_pairs, tmp_path):
    pages = {}
    for voter in ("ada", "ada again", *map(str, range(20))):
        folder = write_vote_page(image_pairs, voter.split()[0], 0, tmp_path / voter).parent
        pages[voter] = read_page(folder)
    assert pages["ada"] == pages["ada again"]
    assert len({tuple(pair["id"] for pair in page["pairs"]) for page in pages.values()}) > 10
    left = [origin(tmp_path / voter, pair, 0) for voter, page in pages.items() for pair in page["pairs"]]
    assert 0.35 < left.count("synthetic") / len(left) < 0.65


def test_saved_votes_on_pairs_that_are_no_longer_drawn_are_left_out(image_pairs, folder, tmp_path):
    shown = read_page(folder)["pairs"]
    saved = tmp_path / "votes.json"
    choices = {shown[0]["id"]: shown[0]["images"][0], shown[1]["id"]: shown[1]["images"][1], shown[2]["id"]: "tie"}
    saved.write_text(json.dumps({"voter": "ada", "votes": choices}))
    wanted = [origin(folder, shown[0], 0), origin(folder, shown[1], 1), "tie"]
    votes = [Vote(couple=pair["id"], voter="ada", choice=choice) for pair, choice in zip(shown, wanted, strict=False)]
    assert read_saved_votes(saved, image_pairs) == (votes, 0)
    drawn = [pair for pair in image_pairs if pair.couple != shown[0]["id"]]
    assert read_saved_votes(saved, drawn) == (votes[1:], 1)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b'{"voter": "ada"}', b'{"voter": "ada", "votes": 3}', b'{"voter": "ada", "votes": {"c1": "tie', b"\xe9",
        b"[" * 10**5, b'{"voter": "\\udce9", "votes": {}}', b'{"voter": "\xe9", "votes": {}}', b'{"votes": {}}', bytes(40),
    ],
)  # fmt: skip
def test_a_file_that_the_page_did_not_save_is_named(image_pairs, tmp_path, content):
    saved = tmp_path / "votes.json"
    saved.write_bytes(content)
    with pytest.raises(ValueError, match=r"votes\.json: not a file that the vote page saved"):
        read_saved_votes(saved, [])
    for image in ("left", ["left"]):
        saved.write_text(json.dumps({"voter": "", "votes": {image_pairs[0].couple: image}}))
        with pytest.raises(
            ValueError, match=rf"votes\.json: the vote on {image_pairs[0].couple} must be one of .*left"
        ):
            read_saved_votes(saved, image_pairs)


@pytest.mark.parametrize("name", ["Jos\udce9", "Ada\u2028L", "a\nb"])
def test_a_name_that_is_no_line_of_text_is_refused(monkeypatch, tmp_path, capsys, name):
    """The first holds what Python makes of a byte that is not UTF-8."""
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["vote", "--voter", name])
    assert f"argument --voter: {name!r} is not printable UTF-8 text" in capsys.readouterr().err


def test_a_page_without_pairs_is_refused(tmp_path, monkeypatch, caplog):
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    write_image_pairs([], Path("data/preference"))
    assert main(["vote"]) == 1
    assert "data/preference is empty: no caption has an image in both arms, real and selected" in caplog.text
    assert not Path("vote").exists()


def open_page(browser, folder, index, width=1100):
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.send("Page.navigate", url="about:blank")
    browser.events.clear()
    browser.send("Page.navigate", url=(folder / "vote.html").as_uri())
    browser.wait(SHOWN.format(index))


def test_a_page_without_its_folder_says_so(browser, folder, tmp_path):
    page = Path(shutil.copy(folder / "vote.html", tmp_path / "sent.html"))
    browser.send("Page.navigate", url=page.as_uri())
    browser.wait("document.readyState === 'complete' && Boolean(document.getElementById('caption'))")
    assert browser.run("document.body.innerText.includes('needs the files beside it')")
    assert not browser.run("[...document.querySelectorAll('button:enabled')].some((one) => one.checkVisibility())")


def test_votes_are_stored_undone_and_saved(browser, image_pairs, tmp_path, monkeypatch, capsys):
    """From the command to the file of votes."""
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    write_image_pairs(image_pairs, Path("data/preference"))
    assert main(["vote", "--voter", "ada"]) == 0
    folder = tmp_path / "vote"
    assert capsys.readouterr().out.startswith("vote/vote.html: open it")
    shown = read_page(folder)["pairs"]
    open_page(browser, folder, 0)
    for index, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowDown")):
        assert browser.run("document.getElementById('caption').textContent") == shown[index]["caption"]
        browser.press(key)
        browser.wait(SHOWN.format(index + 1))
    browser.press("ArrowUp")
    browser.wait(SHOWN.format(2))
    open_page(browser, folder, 2, width=390)  # voting goes on after a reload
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("document.getElementById('count').textContent") == "2 of 6"
    for index in range(2, 6):
        browser.run("document.getElementById('tie').click()")
        browser.wait(SHOWN.format(index + 1 if index < 5 else "null"))
    assert "last one" in browser.run("document.getElementById('caption').textContent")
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.getElementById('save').click()")
    saved = tmp_path / "votes-ada.json"
    limit = time.monotonic() + 30
    while not saved.exists():
        assert time.monotonic() < limit, "nothing was saved"
        time.sleep(0.05)
    assert browser.problems() == []
    assert main(["vote", "--add", saved.name]) == 0
    assert f"6 of 6 votes are new in {VOTES}" in capsys.readouterr().out
    wanted = [origin(folder, shown[0], 0), origin(folder, shown[1], 1), *["tie"] * 4]
    assert [(vote.couple, vote.choice) for vote in read_votes(VOTES)] == [
        (pair["id"], choice) for pair, choice in zip(shown, wanted, strict=True)
    ]
