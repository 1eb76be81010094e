"""Contact sheets: images in a grid with their captions, as one PNG."""

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
    """An image with its caption."""

    image: bytes  # encoded
    caption: str
    note: str = ""  # such as its scores


def grid(cells: Sequence[Cell], columns: int, side: int) -> bytes:
    """PNG of the cells in reading order, each image fitted into `side` x `side` pixels with note and caption below it.

    An image that cannot be decoded leaves an empty frame, so that one bad file does not fail the report.
    """
    width = side + 2 * PADDING
    notes = any(cell.note for cell in cells)
    height = side + 2 * PADDING + (CAPTION_LINES + notes) * LINE
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width, max(1, rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, cell in enumerate(cells):
        left, top = number % columns * width + PADDING, number // columns * height + PADDING
        image = image_or_error(cell.image)
        if isinstance(image, Image.Image):
            image = ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)
            sheet.paste(image, (left + (side - image.width) // 2, top + (side - image.height) // 2))
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


def wrap(text: str, pixels: int) -> list[str]:
    """The text in at most CAPTION_LINES lines of this width; cut text ends in `...`."""
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
    """Bold, and small enough for the note to fit, if possible."""
    fonts = [_font("DejaVuSans-Bold", size) for size in range(FONT_SIZE, SMALLEST - 1, -1)]
    return next((font for font in fonts if font.getlength(note) <= pixels), fonts[-1])


@cache
def _font(name: str = "DejaVuSans", size: int = FONT_SIZE) -> ImageFont.FreeTypeFont:
    """A font of matplotlib's, so that the result does not depend on installed fonts."""
    path = Path(matplotlib.get_data_path()) / f"fonts/ttf/{name}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
