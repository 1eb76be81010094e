"""The gallery page's files: what people wrote (HTML, CSS, JavaScript, copied as it is) and the data script beside it.

Browsers let a page from disk load scripts, styles and pictures, but neither fetch files nor import modules: so the data
is a script that assigns one global, and the code is plain scripts that share their names, in the order of index.html.
"""

import json
import math
from typing import Any

import pandas as pd

# Names spelled out, so that tests/test_pipeline.py finds them among the stage's dependencies.
STATIC = (
    "index.html", "page.css", "rows.js", "state.js", "cards.js", "windowed.js", "groups.js", "detail.js", "page.js",
)  # fmt: skip
DATA = "data.js"
# Of every row, in this order; null where it has none. `id`: a candidate's key, a real pair's uid, uid.number of a rejected
# caption; `picture`: file name in pictures/.
FIELDS = (
    "id", "kind", "status", "uid", "text", "concept", "source", "arms", "reason", "detail", "picture", "clip", "ssim", "score",
    "rank", "number", "seed", "generator", "tokens", "clip_tokens", "sha256", "shard", "words", "perplexity", "judge_yes",
    "clip_original",
)  # fmt: skip
_DIGITS = 6  # of a fraction
_LARGEST = 2**53  # above this, JavaScript rounds whole numbers


def data_script(rows: dict[str, pd.DataFrame], pictures: dict[str, str], about: dict[str, Any]) -> bytes:
    """`GALLERY = {about, fields, rows}`, one row a line; `pictures` has file names by kind:id.

    ASCII, and no `<`: no caption can end a script element or a line of it.
    """
    lines = []
    for kind, table in rows.items():
        for row in table.to_dict("records"):
            row |= {"kind": kind, "picture": pictures.get(f"{kind}:{row['id']}")}
            lines.append(_json([_plain(row.get(field)) for field in FIELDS]))
    body = ",\n".join(lines)
    return f'globalThis.GALLERY = {{"about": {_json(about)},\n"fields": {_json(FIELDS)},\n"rows": [\n{body}\n]}};\n'.encode()


def _plain(value: Any) -> Any:
    """As JSON can say it: NaN is null, a float that counts something is whole, and a 63-bit seed is a string."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST else round(value, _DIGITS)
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
