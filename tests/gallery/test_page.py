import json
import math

import pandas as pd

from synthpairs.gallery.page import FIELDS, STATIC, data_script, static_files
from tests.gallery.conftest import NASTY


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
    row = dict(zip(FIELDS, parsed(script)["rows"][0], strict=True))
    assert row["text"] == NASTY
    assert parsed(script)["about"] == {"generator": "</script>"}


def test_cells_are_told_as_javascript_can_hold_them():
    cells = {"clip": 0.123456789, "ssim": math.nan, "rank": 3.0, "seed": 2**62, "arms": ["real"], "number": 2}
    row = dict(
        zip(FIELDS, parsed(data_script(one_row(**cells), {"candidate:k": "x.webp"}, {}))["rows"][0], strict=True)
    )
    assert (row["clip"], row["ssim"], row["rank"], row["seed"]) == (0.123457, None, 3, str(2**62))
    assert (row["arms"], row["number"], row["picture"], row["kind"]) == (["real"], 2, "x.webp", "candidate")


def test_the_page_names_every_script_and_nothing_from_elsewhere():
    files = static_files()
    page = files["index.html"].decode()
    order = [page.index(f'src="{name}"') for name in ("data.js", *(one for one in STATIC if one.endswith(".js")))]
    assert order == sorted(order)
    text = b"\n".join(files.values()).decode()
    assert "://" not in text
    assert all(way not in text for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("))
