"""Table of emoji drawings: every concept in every style, rendered from SVG to PNG.

A concept is one Unicode emoji (`dog`), a style one icon package (`noto`), a drawing their combination (`dog/noto`).
Splits:

- `train`: available to every training;
- `heldout_combination`: for each concept, its drawing in one training style, excluded from every training;
- `heldout_style`: all drawings of the styles that the lock file marks `evaluate`.

Splits are assigned by hash. A new concept changes no other one. A new style may replace a concept's held-out drawing, which
then joins the training split; training drawings never become held out.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from functools import partial

import pandas as pd
import resvg_py
from PIL import Image, ImageOps

from synthpairs.core.assets import pinned
from synthpairs.runtime.workers import process_pool, usable_cores

# Unicode group -> kind; flags, keycaps and geometric symbols are left out, as they are no objects of a scene.
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
    """Concepts with columns `concept` (slug), `name`, `kind`, `keywords`, `emoji`, in Unicode order."""
    by_package = {package.package: package for package in pinned("names")}
    names = json.loads(by_package["unicode-emoji-json"].read("data-by-emoji.json"))
    data = json.loads(by_package["emojibase-data"].read("/en/data.json"))
    # Joined on code points, because the two packages differ in variation selectors.
    tags = {_hexcode(row["emoji"]): row.get("tags", []) for row in data}
    rows = []
    for emoji, entry in names.items():
        has_skin_tone = any(0x1F3FB <= ord(char) <= 0x1F3FF for char in emoji)
        if entry["group"] in GROUPS and not has_skin_tone and not _CLOCK.search(entry["name"]):
            row = {"concept": entry["slug"].replace("_", "-"), "name": entry["name"], "kind": GROUPS[entry["group"]]}
            row["keywords"] = sorted(set(tags.get(_hexcode(emoji), [])) - {entry["name"]})
            rows.append(row | {"emoji": emoji})
    return pd.DataFrame(rows)


def split_of(concept: str, style: str, use: str, train_styles: list[str]) -> str:
    """Split of one drawing; `train_styles` are the training styles that contain the concept."""
    if use == "evaluate":
        return "heldout_style"
    held_out = min(train_styles, key=lambda name: hashlib.sha256(f"{concept}/{name}".encode()).hexdigest())
    return "heldout_combination" if style == held_out else "train"


def render_drawings(size: int, entries: pd.DataFrame) -> pd.DataFrame:
    """Table of all drawings of some `concepts`, as RGBA PNGs of `size` x `size` pixels.

    Columns as in `schema.DRAWINGS`, ordered by drawing.
    """
    # Icon sets, each with its map from code points to icon names, which is empty for sets that ship none.
    sets = {
        package: (json.loads(package.read("package/icons.json")), json.loads(package.read("package/chars.json")))
        for package in pinned("emoji")
    }
    icon_names = {package: set(icons["icons"]) | set(icons.get("aliases", {})) for package, (icons, _) in sets.items()}
    rows, icons_to_render = [], []
    for entry in entries.to_dict("records"):
        code = _hexcode(entry["emoji"])
        # Icon names to try in sets without a code point map: the concept's slug, then its names in the other sets.
        names_to_try = [entry["concept"], *(by_code[code] for _, by_code in sets.values() if code in by_code)]
        names_to_try += [name.replace("-", "") for name in names_to_try]
        icons = {}
        for package, (_, by_code) in sets.items():
            icon = by_code.get(code) or next((name for name in names_to_try if name in icon_names[package]), None)
            if icon:
                icons[package] = icon
        train_styles = sorted(package.style for package in icons if package.use == "train")
        if len(train_styles) < 2:  # one is held out, and one must remain for training
            continue
        for package, icon in sorted(icons.items(), key=lambda item: item[0].style):
            row = {"drawing": f"{entry['concept']}/{package.style}", "style": package.style, "licence": package.licence}
            row |= {key: entry[key] for key in ("concept", "name", "kind", "keywords")}
            row["split"] = split_of(entry["concept"], package.style, package.use, train_styles)
            rows.append(row)
            icons_to_render.append(_svg(sets[package][0], icon))
    with process_pool(usable_cores(), "fork") as pool:  # processes, because resvg holds the interpreter lock
        pngs = pool.map(partial(_render, size), icons_to_render, chunksize=64)
        return pd.DataFrame(rows).assign(png=list(pngs)).sort_values("drawing", ignore_index=True)


def _hexcode(emoji: str) -> str:
    return "-".join(f"{ord(char):x}" for char in emoji if ord(char) != 0xFE0F)


def _svg(icons: dict, name: str) -> tuple[str, bool]:
    """An icon as SVG, and whether it must be mirrored."""
    alias = {} if name in icons["icons"] else icons["aliases"][name]
    icon = icons["icons"][alias.get("parent", name)]
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    left, top = icon.get("left", icons.get("left", 0)), icon.get("top", icons.get("top", 0))
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>', bool(alias.get("hFlip"))


def _render(size: int, icon: tuple[str, bool]) -> bytes:
    svg, mirrored = icon
    image = picture(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size)))
    square = Image.new("RGBA", (size, size))
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    if mirrored:
        square = ImageOps.mirror(square)
    out = io.BytesIO()
    square.save(out, "PNG")
    return out.getvalue()


def picture(png: bytes) -> Image.Image:
    """A drawing as an RGBA image."""
    return Image.open(io.BytesIO(png)).convert("RGBA")


def drawings_of_split(drawings: pd.DataFrame, split: str, chosen: list[str]) -> Iterator[dict]:
    """The drawings of one split whose concept name is among `chosen`, as dicts in table order."""
    yield from drawings[(drawings["split"] == split) & drawings["name"].isin(chosen)].to_dict("records")
