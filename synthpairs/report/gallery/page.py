"""Files of the gallery page: static HTML, CSS and JavaScript, and the script with the data.

A page from disk can load scripts, styles and images, but neither fetch files nor import modules. So the data is a script
that assigns one global, and the code is plain scripts that share a scope, in the order of index.html.
"""

import json
import math
from typing import Any

import pandas as pd

# Literal names, for tests/test_pipeline.py to find them among the stage's dependencies.
STATIC = (
    "index.html", "page.css", "rows.js", "state.js", "cards.js", "windowed.js", "groups.js", "detail.js", "page.js",
)  # fmt: skip
DATA = "data.js"
# Fields of every row, null where it has none. `id`: key of a candidate, uid of a real pair, uid.number of a rejected caption;
# `picture`: file name in pictures/.
FIELDS = (
    "id", "kind", "status", "uid", "text", "concept", "source", "arms", "reason", "detail", "picture", "clip", "ssim", "score",
    "rank", "number", "seed", "generator", "tokens", "clip_tokens", "sha256", "shard", "words", "perplexity", "judge_yes",
    "clip_original",
)  # fmt: skip
_DIGITS = 6  # of a fraction
_LARGEST = 2**53  # above this, JavaScript rounds whole numbers


def data_script(rows: dict[str, pd.DataFrame], images: dict[str, str], about: dict[str, Any]) -> bytes:
    """`GALLERY = {about, fields, rows}`, one row a line; `images` has file names by kind:id.

    ASCII without `<`, so that no caption can end the script element or a line.
    """
    lines = []
    for kind, table in rows.items():
        for row in table.to_dict("records"):
            row |= {"kind": kind, "picture": images.get(f"{kind}:{row['id']}")}
            lines.append(_json([_plain(row.get(field)) for field in FIELDS]))
    body = ",\n".join(lines)
    return f'globalThis.GALLERY = {{"about": {_json(about)},\n"fields": {_json(FIELDS)},\n"rows": [\n{body}\n]}};\n'.encode()


def _plain(value: Any) -> Any:
    """Value for JSON: NaN is null, whole floats are integers, and a 63-bit seed is a string."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST else round(value, _DIGITS)
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
