"""The drawings table made of small icon packages, and the splits."""

import json

import numpy as np
import pytest

from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.emoji.drawings import concepts, picture, render_drawings, split_of
from tests.conftest import kill_with_workers, start_python
from tests.core.conftest import pin  # noqa: F401

STYLES = ["blob", "emojione", "flat", "fox", "glossy", "noto", "streamline", "twemoji"]
NAMES = [f"concept-{number}" for number in range(300)]


def splits(concept, styles):
    return {style: split_of(concept, style, "train", styles) for style in styles}


def test_every_concept_has_exactly_one_held_out_combination():
    for concept in NAMES:
        for count in range(2, len(STYLES) + 1):
            assert sorted(splits(concept, STYLES[:count]).values()) == ["heldout_combination"] + ["train"] * (count - 1)


def test_held_out_combinations_are_spread_over_styles_and_ignore_their_order():
    for concept in NAMES[:20]:
        assert splits(concept, STYLES) == splits(concept, STYLES[::-1])
    held_out = [style for concept in NAMES for style, split in splits(concept, STYLES).items() if split != "train"]
    counts = [held_out.count(style) for style in STYLES]  # 300 concepts in 8 styles: 37.5 each
    assert min(counts) > 20
    assert max(counts) < 60


def test_a_new_style_never_removes_a_training_drawing():
    moved = 0  # concepts whose held-out drawing is now that of the new style
    for concept in NAMES:
        before, after = splits(concept, STYLES), splits(concept, [*STYLES, "new"])
        assert all(after[style] == "train" for style in STYLES if before[style] == "train")
        moved += after["new"] == "heldout_combination"
        assert (after["new"] == "train") == all(before[style] == after[style] for style in STYLES)
    assert 0 < moved < len(NAMES) / 4  # one in nine on average


SVG = '<rect width="8" height="16" fill="{}"/>'  # the left half


def icons(colour, names, width=16, aliases=None):
    return {"icons": {name: {"body": SVG.format(colour), "width": width, "height": 16} for name in names},
            "aliases": aliases or {}}  # fmt: skip


EMOJI = {
    "\U0001f436": {"name": "dog", "slug": "dog", "group": "Animals & Nature"},
    "\u2693": {"name": "anchor", "slug": "anchor", "group": "Travel & Places"},
    "\U0001f449": {"name": "finger", "slug": "finger", "group": "People & Body"},
    "\U0001f98a": {"name": "fox face", "slug": "fox_face", "group": "Animals & Nature"},
    "\U0001f44b\U0001f3fb": {"name": "hand", "slug": "hand", "group": "People & Body"},
    "\U0001f550": {"name": "one o\u2019clock", "slug": "one_o_clock", "group": "Travel & Places"},
    "\U0001f3c1": {"name": "flag", "slug": "flag", "group": "Flags"},
}
TAGS = [
    {"emoji": "\U0001f436", "tags": ["pet", "animal", "dog"]},
    {"emoji": "\u2693\ufe0f", "tags": ["ship"]},  # without the variation selector in the other package
    {"emoji": "\U0001f449"},
]
CHARS = {"1f436": "dog", "2693": "anchor", "1f449": "finger-right", "1f98a": "fox-face"}
MIRRORED = {"finger-right": {"parent": "finger-left", "hFlip": True}}
SETS = {
    "noto": ("train", icons("#ff0000", ["dog", "anchor", "finger-right", "fox-face"]), CHARS),
    "flat": ("train", icons("#00ff00", ["dog", "anchor", "finger-left"], aliases=MIRRORED), CHARS),
    "fox": ("train", icons("#0000ff", ["dog", "finger"], width=8), {}),  # without code points: found by name
    "openmoji": ("evaluate", icons("#000000", ["dog", "anchor", "finger-right", "fox-face"]), CHARS),
}


@pytest.fixture
def packages(pin):  # noqa: F811
    """Pinned icon and name packages: four styles that share three concepts."""

    def add(section, name, files, **more):
        pin(section, name, {path: json.dumps(value).encode() for path, value in files.items()}, **more)

    add("names", "unicode-emoji-json", {"package/data-by-emoji.json": EMOJI})
    add("names", "emojibase-data", {"package/en/data.json": TAGS})
    for style, (use, content, chars) in SETS.items():
        known = {char: name for char, name in chars.items() if name in content["icons"] | content["aliases"]}
        files = {"package/icons.json": content, "package/chars.json": known}
        add("emoji", f"icons-{style}", files, style=style, use=use)


def test_concepts_are_drawable_and_have_keywords(packages):
    keywords = concepts().set_index("concept")["keywords"].to_dict()
    assert keywords == {"dog": ["animal", "pet"], "anchor": ["ship"], "finger": [], "fox-face": []}


def test_the_table_has_every_drawing_of_concepts_with_two_training_styles(packages, tmp_path):
    table = render_drawings(16, concepts())
    assert list(table["drawing"]) == [
        "anchor/flat", "anchor/noto", "anchor/openmoji",
        "dog/flat", "dog/fox", "dog/noto", "dog/openmoji",
        "finger/flat", "finger/fox", "finger/noto", "finger/openmoji",
    ]  # fmt: skip
    by_concept = table[table["style"] != "openmoji"].groupby("concept")["split"]
    assert by_concept.apply(lambda column: (column == "heldout_combination").sum()).eq(1).all()
    assert table[table["style"] == "openmoji"]["split"].eq("heldout_style").all()
    write_table(tmp_path / "one", table, DRAWINGS)
    write_table(tmp_path / "two", render_drawings(16, concepts()), DRAWINGS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("drawing", "columns", "colour"),
    [
        ("finger/noto", range(8), [255, 0, 0, 255]),
        ("finger/flat", range(8, 16), [0, 255, 0, 255]),  # mirrored
        ("finger/fox", range(4, 12), [0, 0, 255, 255]),  # 8 x 16 units: centred, not stretched
    ],
)
def test_drawings_are_square_and_mirrored_where_required(packages, drawing, columns, colour):
    pixels = np.asarray(picture(render_drawings(16, concepts()).set_index("drawing").loc[drawing, "png"]))
    assert pixels.shape == (16, 16, 4)
    assert (pixels[:, columns] == colour).all()
    assert (np.delete(pixels, columns, axis=1)[..., 3] == 0).all()


def test_a_killed_rendering_leaves_no_worker(packages):
    kill_with_workers(
        start_python(
            "from synthpairs.emoji.drawings import concepts, render_drawings; render_drawings(4096, concepts())"
        )
    )
