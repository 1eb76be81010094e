"""From data/selection to data/selected: the best pairs in the forms that trainers read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import SELECTED
from synthpairs.core.shards import cut, shard_name, write_shards
from synthpairs.core.storage import read_shard, read_table, write_json, write_table
from synthpairs.selection.records import llava_records


def export_selection(samples_per_shard: int, data: Path, out: Path) -> int:
    """Write `out` (selected.parquet, llava.json, WebDataset shards) from `data`; returns how many pairs there are."""
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    generator = json.loads((data / "images/generator.json").read_text())
    write_table(out / "selected.parquet", selected, SELECTED)
    write_shards(out, _shards(selected, data / "images", samples_per_shard))
    write_json(out / "llava.json", llava_records(selected, generator["inputs"]["format"]))
    return len(selected)


def _shards(selected: pd.DataFrame, images: Path, size: int) -> Iterator[tuple[str, list]]:
    """The selection's samples, pictures byte for byte as painted, their JSON with rank and scores added."""
    rows = selected.set_index("key")[["shard", "rank", "score", "clip_cosine", "ssim"]].to_dict("index")
    for keys in cut(rows, size):
        wanted, samples = set(keys), dict[str, dict[str, bytes]]()
        for shard in sorted({rows[key]["shard"] for key in keys}):
            samples |= {key: members for key, members in read_shard(images / shard) if key in wanted}
        for key in keys:
            row, shard = dict(rows[key]), rows[key]["shard"]
            if key not in samples:
                raise ValueError(f"{images / shard}: picture {key} is missing; run `dvc repro images`")
            del row["shard"]
            document = json.loads(samples[key]["json"]) | row
            samples[key]["json"] = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        yield shard_name(keys), [(key, samples[key]) for key in keys]
