"""The page in a real browser, from disk. Skipped where no Chromium is on PATH."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.report.gallery.make import make_gallery
from synthpairs.report.gallery.page import data_script
from tests.report.gallery.conftest import ARMS, NASTY, PARAMS, SELECT, make_data
from tests.report.gallery.test_page import parsed

CARDS = 300  # at once, at most
THINGS = [f"thing {number:02d}" for number in range(40)]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A gallery of 41 captions, three candidates each."""
    folder = tmp_path_factory.mktemp("gallery")
    make_data(folder / "data", THINGS)
    make_gallery(PARAMS, SELECT, ARMS, folder / "data", folder / "page")
    return folder / "page/index.html"


@pytest.fixture(scope="module")
def rows(page):
    """What data.js holds."""
    content = parsed((page.parent / "data.js").read_bytes())
    return [dict(zip(content["fields"], row, strict=True)) for row in content["rows"]]


@pytest.fixture(scope="module")
def large(page, rows, tmp_path_factory):
    """A page with 10,000 candidates: one of the small page, under other names."""
    folder = tmp_path_factory.mktemp("large")
    shutil.copytree(page.parent, folder, dirs_exist_ok=True)
    row = next(row for row in rows if row["kind"] == "candidate" and row["picture"])
    table = pd.DataFrame(
        row | {"id": f"key {n}", "uid": f"caption {n // 4}", "concept": f"concept {n // 4 % 200}"}
        for n in range(10_000)
    )
    images = {f"candidate:{key}": row["picture"] for key in table["id"]}
    about = parsed((folder / "data.js").read_bytes())["about"]
    (folder / "data.js").write_bytes(data_script({"candidate": table}, images, about))
    return folder / "index.html"


def focused(browser):
    return browser.run("document.activeElement.dataset.id")


def shown(browser):
    return browser.run("shown.map((row) => row.id)")


def texts(browser, selector):
    return browser.run(f"[...document.querySelectorAll('{selector}')].map((one) => one.textContent)")


def test_everything_is_shown_first_and_nothing_comes_from_elsewhere(browser, page, rows):
    browser.open(page)
    assert int(browser.state("shown")) == int(browser.state("total")) == len(rows)
    best = max((row for row in rows if row["score"] is not None), key=lambda row: row["score"])
    assert browser.state("first") == best["id"]
    browser.wait(f"document.getElementById('count').textContent === '{len(rows)} of {len(rows)} shown'")
    assert browser.problems() == []


@pytest.mark.parametrize(
    ("state", "holds"),
    [
        ("#q=THING+07", lambda row: "thing 07" in row["text"]),
        ("#concept=thing+12", lambda row: row["concept"] == "thing 12"),
        ("#concept=(none)", lambda row: row["concept"] == ""),
        ("#source=model&status=selected", lambda row: (row["source"], row["status"]) == ("model", "selected")),
        ("#arm=real", lambda row: "real" in row["arms"]),
        ("#status=rejected", lambda row: row["status"] == "rejected"),
        ("#status=rejected:alignment", lambda row: row["reason"] == "alignment"),
        ("#status=failed", lambda row: row["status"] == "failed"),
        ("#arm=no+such&view=none", lambda row: True),
    ],
)
def test_a_link_shows_what_its_filters_say(browser, page, rows, state, holds):
    browser.open(page, state)
    assert int(browser.state("shown")) == sum(map(holds, rows)) > 0


@pytest.mark.parametrize(
    ("sort", "field", "sign"),
    [("score-low", "score", 1), ("clip", "clip", -1), ("ssim", "ssim", -1), ("clip-low", "clip", 1)],
)
def test_a_link_keeps_its_order_and_what_has_no_number_is_last(browser, page, rows, sort, field, sign):
    browser.open(page, f"#sort={sort}")
    values = {row["id"]: row[field] for row in rows}
    order = [values[one] for one in shown(browser)]
    known = [sign * value for value in order if value is not None]
    assert known == sorted(known)
    assert set(order[len(known) :]) <= {None}


def test_a_random_order_is_its_seed_s(browser, page):
    orders = []
    for seed in (1, 2, 1):
        browser.open(page, f"#sort=random&seed={seed}")
        orders.append(shown(browser))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_controls_change_the_address_and_clear_filters_takes_it_back(browser, page):
    browser.open(page, "#sort=text")
    browser.run("document.querySelector('[name=q]').focus()")
    browser.type("thing 1")
    assert browser.run("location.hash") == "#q=thing+1&sort=text"
    fewer = int(browser.state("shown"))
    assert 0 < fewer < int(browser.state("total"))
    browser.wait(f"document.getElementById('count').textContent.startsWith('{fewer} of')")
    browser.run("document.getElementById('clear').click()")
    assert browser.run("location.hash") == "#sort=text"
    assert browser.state("shown") == browser.state("total")
    browser.type("no such thing")
    assert texts(browser, "#pairs") == ["Nothing passes these filters."]


def test_a_caption_is_text_wherever_it_stands(browser, page, rows):
    row = next(row for row in rows if row["text"] == NASTY and row["picture"])
    browser.open(page, f"#q={row['id']}&pair={row['id']}")
    assert browser.run("document.title") == "Image-caption pairs · synthpairs"
    assert browser.run("document.querySelectorAll('#pairs b, #detail b, body script').length") == 0
    assert browser.run("document.querySelector('#pairs img').alt") == NASTY
    assert texts(browser, "#pairs .caption")[0] == texts(browser, "#detail-title")[0] == NASTY
    assert browser.problems() == []


def test_the_dialog_shows_the_candidates_of_a_caption_and_all_fields(browser, page, rows):
    row = next(row for row in rows if row["kind"] == "candidate" and row["status"] == "selected")
    family = [one["id"] for one in rows if one["uid"] == row["uid"]]
    browser.open(page, f"#pair={row['id']}")
    assert browser.run("[...document.querySelectorAll('.sibling')].map((one) => one.dataset.id)") == family
    assert len(family) >= 3
    assert browser.run("document.querySelector('.sibling[aria-current]').dataset.id") == row["id"]
    (text,) = texts(browser, "#detail-fields")
    fields = ("id", "uid", "seed", "generator", "sha256", "concept", "source")
    assert [name for name in fields if str(row[name]) not in text] == []


def test_keys_walk_the_grid_and_the_dialog_and_the_focus_comes_back(browser, page):
    browser.open(page, "#sort=text")
    order, columns = shown(browser), browser.run("list.size.columns")
    browser.run("document.querySelector('#pairs .card').focus()")
    moves = {"ArrowRight": 1, "ArrowDown": 1 + columns, "ArrowLeft": columns, "ArrowUp": 0, "End": -1}
    for key, index in moves.items():
        browser.press(key)
        assert focused(browser) == order[index], key
    browser.press("Home")
    assert browser.run("document.querySelectorAll('#pairs .card[tabindex=\"0\"]').length") == 1
    browser.press("Enter")
    assert browser.run("document.getElementById('detail').open")
    assert browser.state("pair") == order[0]
    for key, index in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        browser.press(key)
        assert browser.state("pair") == order[index]
    assert f"pair={order[1]}" in browser.run("location.hash")
    browser.press("Escape")
    browser.wait("!document.getElementById('detail').open && !document.documentElement.dataset.pair")
    browser.wait("location.hash === '#sort=text'")
    assert focused(browser) == order[1]


def test_back_closes_the_dialog_then_undoes_the_filter_and_then_the_view(browser, page):
    browser.open(page)
    browser.run("document.querySelector('#views [data-view=concepts]').click()")
    browser.wait("document.documentElement.dataset.groups !== '0'")
    browser.run("document.querySelector('#views [data-view=pairs]').click()")
    browser.wait("document.documentElement.dataset.groups === '0'")
    browser.run("document.querySelector('[name=q]').focus()")
    for letter in "thing 1":
        browser.type(letter)
    fewer = browser.state("shown")
    browser.run("document.querySelectorAll('#pairs .card')[1].click()")
    browser.press("ArrowRight")
    browser.run("history.back()")
    browser.wait("!document.getElementById('detail').open && location.hash === '#q=thing+1'")
    assert browser.state("shown") == fewer
    browser.wait("document.activeElement.dataset.id === shown[2].id")
    browser.run("history.forward()")
    browser.wait("document.getElementById('detail').open")
    browser.press("Escape")
    browser.wait("location.hash === '#q=thing+1'")
    browser.run("history.back()")
    browser.wait("!document.querySelector('[name=q]').value")
    assert browser.state("shown") == browser.state("total")
    browser.run("history.back()")
    browser.wait("document.documentElement.dataset.groups !== '0'")
    assert browser.problems() == []


def test_closing_a_dialog_leaves_its_last_card_in_sight(browser, large):
    browser.open(large)
    browser.run("document.querySelector('#pairs .card').click()")
    for _ in range(60):
        browser.press("ArrowRight")
    browser.press("Escape")
    browser.wait("location.hash === '#' || location.hash === ''")
    browser.wait("document.activeElement.dataset.id === shown[60].id")
    box = browser.run("(({top, bottom}) => [top, bottom])(document.activeElement.getBoundingClientRect())")
    assert 0 < box[0] < box[1] <= 800


def test_a_copied_link_opens_the_dialog_of_its_pair(browser, page, rows):
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.open(page, "#sort=text")
    browser.run("document.querySelectorAll('#pairs .card')[5].click()")
    pair = browser.state("pair")
    browser.run("document.getElementById('copy').click()")
    browser.wait("document.getElementById('copy').textContent === 'Copied'")
    link = browser.run("navigator.clipboard.readText()")
    browser.open(page, link.removeprefix(page.as_uri()))
    assert browser.state("pair") == pair
    assert browser.run("document.getElementById('detail').open")
    browser.run("document.getElementById('close').click()")
    browser.wait("location.hash === '#sort=text'")


def test_beside_the_rows_of_the_filters_the_dialog_goes_on_in_them(browser, page, rows):
    other = next(row for row in rows if row["kind"] == "candidate" and row["status"] == "not selected")
    browser.open(page, f"#status=selected&pair={other['id']}")
    order = shown(browser)
    position, fields = "#detail-position", "#detail-fields"
    assert texts(browser, position) == [f"not among the {len(order)} shown"]
    assert f"Shard in data/images{other['shard']}" in texts(browser, fields)[0]
    browser.press("ArrowLeft")
    assert browser.state("pair") == other["id"]
    for index in (0, 1):
        browser.press("ArrowRight")
        assert browser.state("pair") == order[index]
    assert texts(browser, position) == [f"2 of {len(order)}"]
    browser.run("document.querySelector('.sibling:not([aria-current])').click()")
    assert browser.state("pair") not in order
    browser.press("ArrowRight")
    assert browser.state("pair") == order[2]
    browser.run("document.querySelector('.sibling:not([aria-current])').click()")
    browser.press("Escape")
    browser.wait("document.activeElement.dataset.id === shown[2].id")
    browser.open(page, f"#q=no+such+thing&pair={other['id']}")
    assert browser.run("document.querySelectorAll('.bar [aria-disabled=true]').length") == 2


def test_ranks_and_candidates_are_counted_from_1(browser, page, rows):
    (first,) = (row for row in rows if row["rank"] == 0)
    browser.open(page, f"#q={first['id']}&pair={first['id']}")
    assert texts(browser, "#pairs .foot")[0].endswith("#1")
    assert "Rank1" in texts(browser, "#detail-fields")[0]
    assert texts(browser, ".sibling[aria-current] .name") == [f"candidate {first['number'] + 1}, selected"]


@pytest.mark.parametrize(
    ("normalisation", "formula"),
    [
        ("sum", "1 x 2 x max(CLIP, 0) + 0.5 x SSIM."),
        ("zscore", "1 x z-score of max(CLIP, 0) + 0.5 x z-score of SSIM."),
        ("rank", "1 x relative rank of max(CLIP, 0) + 0.5 x relative rank of SSIM."),
    ],
)
def test_the_formula_is_that_of_the_score(browser, data, tmp_path, normalisation, formula):
    make_gallery(PARAMS, replace(SELECT, normalisation=normalisation), ARMS, data, tmp_path / "page")
    browser.open(tmp_path / "page/index.html")
    shown = texts(browser, "#formula")[0].replace("\u00d7", "x")
    assert shown == f"weighted sum, whatever the strategy: {formula}"
    assert (
        f"The selection: {SELECT.num_pairs} pairs by strategy “top”, of each caption the best candidate."
        in texts(browser, "#summary")[0]
    )
    assert texts(browser, "#order") == [""]


def test_a_random_order_is_not_said_to_be_that_of_the_score(browser, data, tmp_path):
    make_gallery(PARAMS, replace(SELECT, strategy="random"), ARMS, data, tmp_path / "page")
    browser.open(tmp_path / "page/index.html")
    assert texts(browser, "#order") == [" (here a random draw, not of the score)"]


def test_the_tab_key_reaches_every_control_with_a_name(browser, page):
    browser.open(page)
    reached = []
    for _ in range(12):
        browser.press("Tab")
        reached.append(browser.run("(({name, id, className, textContent}) => name || id || className || textContent.trim())"
                                   "(document.activeElement)"))  # fmt: skip
    assert reached == [
        "skip", "All pairs", "Worst concepts", "Rejections", "What the numbers mean", "q", "concept", "source",
        "arm", "status", "sort", "card",  # nothing to clear yet
    ]  # fmt: skip
    unnamed = "[...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).length"
    assert browser.run(unnamed) == 0


def test_failures_are_grouped_worst_first(browser, page, rows):
    browser.open(page, "#view=concepts")
    clips = {}
    for row in rows:
        if row["kind"] == "candidate" and row["clip"] is not None:
            clips.setdefault(row["concept"], []).append(row["clip"])
    order = sorted(clips, key=lambda name: np.mean(clips[name]))
    assert int(browser.state("groups")) == len(order)
    titles = texts(browser, ".group h2")
    assert titles == order[: len(titles)]
    assert f"{min(clips[order[0]]):.3f}" in texts(browser, ".group .card .scores")[0]
    assert texts(browser, ".group a") == [], "all three cards of each fit"
    browser.open(page, "#view=concepts", 390, 844)
    browser.run("document.querySelector('.group a').click()")
    browser.wait("document.documentElement.dataset.groups === '0'")
    assert int(browser.state("shown")) == sum(row["concept"] == order[0] for row in rows)
    browser.open(page, "#view=reasons")
    assert texts(browser, ".group h2") == ["low CLIP cosine", "exact duplicate", "not usable as text"]


def test_reasons_are_said_in_words_with_the_filter_on_hover(browser, page, rows):
    row = next(row for row in rows if row["reason"] == "exact_duplicate")
    browser.open(page, f"#status=rejected:exact_duplicate&pair={row['id']}")
    assert texts(browser, "#pairs .why") == ["exact duplicateas kept"]
    titled = "[...document.querySelectorAll('[title=exact_duplicate]')].map((one) => one.tagName)"
    assert browser.run(titled) == ["OPTION", "B", "DD"]
    assert browser.run("document.querySelector('#pairs .why').title") == "as kept"
    assert texts(browser, ".sibling[aria-current] .name") == ["caption, rejected: exact duplicate"]
    browser.open(page, "#q=exact+duplicate")
    assert int(browser.state("shown")) == 1


def test_filters_are_folded_on_a_narrow_screen(browser, page):
    browser.open(page, "#arm=real", 390, 844)
    top = "document.querySelector('#pairs .card').getBoundingClientRect().top"
    seen = (
        "[...document.querySelectorAll('input, select')].filter((one) => one.checkVisibility()).map((one) => one.name)"
    )
    assert browser.run(top) < 844 / 2
    assert browser.run(seen) == ["q"]
    assert texts(browser, "#fold") == ["Filter and sort (1 filter)"]
    browser.run("document.getElementById('fold').click()")
    assert browser.run(seen) == ["q", "concept", "source", "arm", "status", "sort"]
    browser.run("document.getElementById('fold').click()")
    assert browser.run(seen) == ["q"]


def test_a_link_to_a_pair_that_is_not_there_says_so(browser, page, rows):
    missing = "document.getElementById('missing').checkVisibility()"
    browser.open(page, "#pair=0123abc")
    assert browser.run(missing)
    assert "pair 0123abc is not on this page" in texts(browser, "#missing")[0]
    browser.run("document.querySelector('#pairs .card').click()")
    assert not browser.run(missing)
    browser.run("location.hash = '#pair=4567def'")
    browser.wait(missing)
    assert not browser.run("document.getElementById('detail').open")
    browser.run(f"location.hash = '#pair={rows[0]['id']}'")
    browser.wait(f"!{missing}")


def test_a_link_that_cannot_be_copied_says_so(browser, page):
    browser.send("Browser.resetPermissions")
    browser.open(page)
    browser.run("navigator.clipboard.writeText = () => Promise.reject(new DOMException('no'))")
    browser.run("document.querySelector('#pairs .card').click()")
    browser.run("document.getElementById('copy').click()")
    browser.wait("document.getElementById('copy').textContent === 'Copy it from the address bar'")
    assert browser.problems() == []


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(360, 740, "light"), (1280, 800, "dark"), (1280, 800, "light")]
)
def test_the_page_fits_its_width_and_can_be_read(browser, page, rows, width, height, scheme):
    for state in ("", "#view=concepts", f"#pair={rows[0]['id']}"):
        browser.open(page, state, width, height, scheme)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(CONTRAST) == [], state
        assert browser.run(SMALL.format(44 if width < 640 else 24)) == [], state


# Controls in sight that are lower than so many pixels: WCAG AA asks for 24, for fingers 44 are advised.
SMALL = """[...document.querySelectorAll('a:not(.skip), summary, button, input, select')]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < {})
  .map((one) => one.id || one.name || one.textContent)"""

# Texts with less contrast to the ground behind them than WCAG AA asks for, 4.5; disabled controls are exempt.
CONTRAST = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => channels(colour).slice(0, 3)
    .map((one) => (one <= 10.3 ? one / 3294.6 : ((one / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if ((channels(colour)[3] ?? 1) === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((one) => one.checkVisibility() && !one.closest(':disabled, [aria-disabled=true], script, noscript'))
    .map((one) => {
      const pair = [light(getComputedStyle(one).color), light(ground(one))].sort((low, high) => low - high);
      return [one.textContent.trim().slice(0, 40), (pair[1] + 0.05) / (pair[0] + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
})()"""


def test_of_ten_thousand_pairs_only_the_cards_in_sight_are_made(browser, large):
    browser.open(large, "#view=concepts")
    assert int(browser.state("groups")) == 200
    assert int(browser.state("cards")) <= CARDS
    browser.open(large)
    assert browser.state("shown") == "10000"
    browser.run("document.querySelector('#pairs .card').focus()")
    first = focused(browser)
    browser.run("scrollTo(0, document.documentElement.scrollHeight / 2)")
    browser.wait("[...list.items.keys()].some((index) => index > 4000)")
    assert browser.run("document.querySelectorAll('#pairs .card').length") <= CARDS
    assert focused(browser) == first  # a card with the focus stays
    browser.press("End")
    assert focused(browser) == browser.run("shown.at(-1).id")
    positions = browser.run("[...document.querySelectorAll('#pairs li')].map((one) => Number(one.dataset.index))")
    assert positions == sorted(positions)
    assert len(positions) <= CARDS
