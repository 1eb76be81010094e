import json
import math
from pathlib import Path

import pandas as pd

from synthpairs.report.gallery import page
from synthpairs.report.gallery.page import DATA, FIELDS, STATIC, data_script
from tests.report.gallery.conftest import NASTY

FOLDER = Path(page.__file__).parent  # of the files that are copied


def parsed(script):
    """What the script assigns."""
    prefix, _, value = script.decode("ascii").partition(" = ")
    assert prefix == "globalThis.GALLERY"
    return json.loads(value.removesuffix(";\n"))


def one_row(**cells):
    return {"candidate": pd.DataFrame([{"id": "k", **cells}])}


def test_captions_cannot_leave_their_string():
    script = data_script(one_row(text=NASTY), {}, {"generator": "</script>"})
    assert b"<" not in script
    assert script.isascii()
    assert dict(zip(FIELDS, parsed(script)["rows"][0], strict=True))["text"] == NASTY
    assert parsed(script)["about"] == {"generator": "</script>"}


def test_cells_are_written_as_javascript_can_hold_them():
    cells = {"clip": 0.123456789, "ssim": math.nan, "rank": 3.0, "seed": 2**62, "arms": ["real"], "number": 2}
    script = data_script(one_row(**cells), {"candidate:k": "x.webp"}, {})
    row = dict(zip(FIELDS, parsed(script)["rows"][0], strict=True))
    assert (row["clip"], row["ssim"], row["rank"], row["seed"]) == (0.123457, None, 3, str(2**62))
    assert (row["arms"], row["number"], row["picture"], row["kind"]) == (["real"], 2, "x.webp", "candidate")


def test_the_page_names_every_script_and_nothing_from_elsewhere():
    html = (FOLDER / "index.html").read_text()
    order = [html.index(f'src="{name}"') for name in (DATA, *(name for name in STATIC if name.endswith(".js")))]
    assert order == sorted(order)
    text = "\n".join((FOLDER / name).read_text() for name in STATIC)
    assert not [
        way for way in ("://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(") if way in text
    ]
