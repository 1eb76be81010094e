"""Contact sheets: pictures in a grid with their captions underneath, as one PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

from synthpairs.core.images import image_or_error

INK, PALE = (27, 27, 27), (208, 208, 208)
PADDING, LINE, FONT_SIZE, SMALLEST = 8, 17, 13, 8  # pixels
CAPTION_LINES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One picture (encoded), what it is captioned with, and a short note such as its scores."""

    picture: bytes
    caption: str
    note: str = ""


def grid(cells: Sequence[Cell], columns: int, side: int) -> bytes:
    """PNG of the cells in reading order, each picture brought to `side` x `side` pixels, caption and note below it.

    A picture that cannot be decoded leaves an empty frame: one bad file must not cost the report.
    """
    width = side + 2 * PADDING
    notes = any(cell.note for cell in cells)
    height = side + 2 * PADDING + (CAPTION_LINES + notes) * LINE
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width, max(1, rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, cell in enumerate(cells):
        left, top = number % columns * width + PADDING, number // columns * height + PADDING
        picture = _fitted(cell.picture, side)
        if picture:
            sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
        draw.rectangle((left, top, left + side - 1, top + side - 1), outline=PALE)
        below = top + side + 4
        if cell.note:
            draw.text((left, below), cell.note, INK, _note_font(cell.note, side))
            below += LINE
        for line in wrap(cell.caption, side):
            draw.text((left, below), line, INK, _font())
            below += LINE
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _fitted(payload: bytes, side: int) -> Image.Image | None:
    picture = image_or_error(payload)
    return None if isinstance(picture, str) else ImageOps.contain(picture, (side, side), Image.Resampling.LANCZOS)


def wrap(text: str, pixels: int) -> list[str]:
    """The text in at most CAPTION_LINES lines of this width; what does not fit ends in `...`."""
    words = "".join(char if char.isprintable() else " " for char in text[:500]).split()
    lines: list[str] = []
    line = ""
    for word in words:
        candidate = f"{line} {word}".strip()
        if line and _width(candidate) > pixels:
            lines.append(line)
            line = word
        else:
            line = candidate
    lines.append(line)
    if len(lines) > CAPTION_LINES:
        lines = [*lines[: CAPTION_LINES - 1], f"{lines[CAPTION_LINES - 1]} ..."]
    return [_cut(line, pixels) for line in lines]


def _cut(line: str, pixels: int) -> str:
    if _width(line) <= pixels:
        return line
    line = line.removesuffix(" ...")
    while line and _width(f"{line}...") > pixels:
        line = line[:-1]
    return f"{line.rstrip()}..."


def _width(text: str) -> float:
    return float(_font().getlength(text))


def _note_font(note: str, pixels: int) -> ImageFont.FreeTypeFont:
    """Bold, and small enough for the note to fit."""
    fonts = [_font("DejaVuSans-Bold", size) for size in range(FONT_SIZE, SMALLEST - 1, -1)]
    return next((font for font in fonts if font.getlength(note) <= pixels), fonts[-1])


@cache
def _font(name: str = "DejaVuSans", size: int = FONT_SIZE) -> ImageFont.FreeTypeFont:
    """As matplotlib brings it along, so that every machine draws the same."""
    path = Path(matplotlib.get_data_path()) / f"fonts/ttf/{name}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
