"""The table of drawings: every emoji concept in every artwork style, rendered from SVG to PNG.

A concept is one Unicode emoji (`dog`), a style one artwork package (`noto`), a drawing their combination (`dog/noto`).
Splits are fixed by hash: adding a concept moves no other one, and adding a style can only let a concept's held-out
drawing join the training ones, by taking its place; no training drawing ever becomes held out. They are:

- `train`: everything that any training may see;
- `heldout_combination`: for each concept, one training style in which it is never shown to any training;
- `heldout_style`: the styles that the lock file marks `evaluate`.
"""

import hashlib
import io
import json
import re
from collections.abc import Container, Iterator
from functools import partial

import pandas as pd
import resvg_py
from PIL import Image, ImageOps

from synthpairs.core.assets import Package, pinned
from synthpairs.runtime.workers import process_pool, usable_cores

# Flags, keycaps and geometric symbols are not things one can draw a scene with.
GROUPS = {
    "Animals & Nature": "animal or plant",
    "Food & Drink": "food or drink",
    "Travel & Places": "place or vehicle",
    "Activities": "activity",
    "Objects": "object",
    "Smileys & Emotion": "face",
    "People & Body": "person",
}
_CLOCK = re.compile("o\u2019clock|-thirty")


def concepts() -> pd.DataFrame:
    """All drawable concepts: `concept` (slug), `name`, `kind`, `keywords`, `emoji`; one row each, in Unicode order."""
    by_package = {package.package: package for package in pinned("names")}
    names = json.loads(by_package["unicode-emoji-json"].read("data-by-emoji.json"))
    data = json.loads(by_package["emojibase-data"].read("/en/data.json"))
    # By code points: the two packages do not set the same variation selectors.
    tags = {_hexcode(row["emoji"]): row.get("tags", []) for row in data}
    rows = []
    for emoji, entry in names.items():
        tone = any(0x1F3FB <= ord(char) <= 0x1F3FF for char in emoji)
        if entry["group"] in GROUPS and not tone and not _CLOCK.search(entry["name"]):
            rows.append(
                {
                    "concept": entry["slug"].replace("_", "-"),
                    "name": entry["name"],
                    "kind": GROUPS[entry["group"]],
                    "keywords": sorted(set(tags.get(_hexcode(emoji), [])) - {entry["name"]}),
                    "emoji": emoji,
                }
            )
    return pd.DataFrame(rows)


def split_of(concept: str, style: str, use: str, train_styles: list[str]) -> str:
    """The split of one drawing; `train_styles` are the training styles that have this concept."""
    if use == "evaluate":
        return "heldout_style"
    held_out = min(train_styles, key=lambda name: hashlib.sha256(f"{concept}/{name}".encode()).hexdigest())
    return "heldout_combination" if style == held_out else "train"


def render_drawings(size: int, names: Container[str] | None = None) -> pd.DataFrame:
    """Render every drawing, or those of the concepts with these names, to a `size` x `size` RGBA PNG.

    Columns as in `schema.DRAWINGS`, ordered by drawing.
    """
    sets = {package: _icons(package) for package in pinned("artwork")}
    spellings = {package: set(icons["icons"]) | set(icons.get("aliases", {})) for package, (icons, _) in sets.items()}
    rows = []
    for entry in concepts().to_dict("records"):
        if names is not None and entry["name"] not in names:
            continue
        slugs = _slugs(entry["concept"], entry["emoji"], [by_char for _, by_char in sets.values()])
        found = {}
        for package, (_, by_char) in sets.items():
            icon = by_char.get(_hexcode(entry["emoji"]))
            icon = icon or next((slug for slug in slugs if slug in spellings[package]), None)
            if icon:
                found[package] = icon
        train_styles = sorted(package.style for package in found if package.use == "train")
        if len(train_styles) < 2:  # with one style there would be nothing left to train on once it is held out
            continue
        for package, icon in sorted(found.items(), key=lambda item: item[0].style):
            rows.append(
                {
                    "drawing": f"{entry['concept']}/{package.style}",
                    "concept": entry["concept"],
                    "name": entry["name"],
                    "kind": entry["kind"],
                    "keywords": entry["keywords"],
                    "style": package.style,
                    "licence": package.licence,
                    "split": split_of(entry["concept"], package.style, package.use, train_styles),
                    "svg": _svg(sets[package][0], icon),
                }
            )
    with process_pool(usable_cores(), "fork") as pool:  # no threads: resvg holds the interpreter's lock
        pngs = pool.map(partial(_render, size), [row.pop("svg") for row in rows], chunksize=64)
        return pd.DataFrame(rows).assign(png=list(pngs)).sort_values("drawing", ignore_index=True)


def _icons(package: Package) -> tuple[dict, dict[str, str]]:
    """An icon set and its map from code points to icon names (empty for the sets that ship none)."""
    return json.loads(package.read("package/icons.json")), json.loads(package.read("package/chars.json"))


def _hexcode(emoji: str) -> str:
    return "-".join(f"{ord(char):x}" for char in emoji if ord(char) != 0xFE0F)


def _slugs(concept: str, emoji: str, char_maps: list[dict[str, str]]) -> list[str]:
    """Spellings under which sets without a code point map may hold the concept: its slug, then other sets' names."""
    names = [concept, *(by_char[_hexcode(emoji)] for by_char in char_maps if _hexcode(emoji) in by_char)]
    return list(dict.fromkeys([*names, *(name.replace("-", "") for name in names)]))


def _svg(icons: dict, name: str) -> tuple[str, bool]:
    """An icon as SVG, and whether it is to be mirrored."""
    alias = {} if name in icons["icons"] else icons["aliases"][name]
    icon = icons["icons"][alias.get("parent", name)]
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    left, top = icon.get("left", icons.get("left", 0)), icon.get("top", icons.get("top", 0))
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>', bool(alias.get("hFlip"))


def _render(size: int, drawn: tuple[str, bool]) -> bytes:
    svg, mirrored = drawn
    rendered = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))
    image = picture(rendered)
    square = Image.new("RGBA", (size, size))
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    if mirrored:
        square = ImageOps.mirror(square)
    out = io.BytesIO()
    square.save(out, "PNG")
    return out.getvalue()


def picture(png: bytes) -> Image.Image:
    """A drawing's RGBA picture."""
    return Image.open(io.BytesIO(png)).convert("RGBA")


def of_split(drawings: pd.DataFrame, split: str, chosen: list[str]) -> Iterator[dict]:
    """The drawings of one split whose concept name is among `chosen`, as dicts in table order."""
    rows = drawings[(drawings["split"] == split) & drawings["name"].isin(chosen)]
    yield from rows.to_dict("records")
