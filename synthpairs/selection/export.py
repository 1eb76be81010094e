"""Stage `export`: the selected pairs as WebDataset shards and as LLaVA's JSON for projector pretraining, in data/export."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import PAIR_SCORES, SELECTED
from synthpairs.core.shards import shard_keys, shard_name, write_shards
from synthpairs.core.storage import read_json, read_shard, read_table, write_json, write_table

INSTRUCTIONS = (
    "What does this picture show? Answer in one sentence.",
    "Say briefly what can be seen here.",
    "Sum up the picture in a few words.",
    "Give a short caption for this image.",
    "In one line, what is in the image?",
    "Name what is shown, and how.",
    "Write down what you see, and keep it short.",
    "Tell me in brief what the picture is of.",
    "Caption this picture plainly.",
    "State the content of the image in short.",
)


def export_selection(samples_per_shard: int, data: Path, out: Path) -> int:
    """Write `out` (selected.parquet, llava.json, shards) from `data`; returns the number of pairs."""
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    extension = read_json(data / "images/generator.json", "dvc repro images", ["inputs"])["inputs"]["format"]
    groups = shard_keys(selected["key"], samples_per_shard)
    shards = {key: shard_name(keys) for keys in groups for key in keys}
    write_table(out / "selected.parquet", selected.assign(shard=selected["key"].map(shards)), SELECTED)
    write_shards(out, _shards(selected, data / "images", groups))
    texts = zip(selected["key"], selected["text"], strict=True)
    write_json(out / "llava.json", [llava_record(key, text, extension) for key, text in texts])
    return len(selected)


def _shards(selected: pd.DataFrame, images: Path, groups: list[list[str]]) -> Iterator[tuple[str, list]]:
    """The samples of data/images in groups of keys, with rank and scores added to their JSON."""
    rows = selected.set_index("key")[["shard", "rank", "score", *PAIR_SCORES]].to_dict("index")
    for keys in groups:
        wanted, samples = set(keys), dict[str, dict[str, bytes]]()
        for shard in sorted({rows[key]["shard"] for key in keys}):
            samples |= {key: members for key, members in read_shard(images / shard) if key in wanted}
        for key in keys:
            scores = dict(rows[key])
            shard = scores.pop("shard")
            if key not in samples:
                raise ValueError(f"{images / shard}: picture {key} is missing; run `dvc repro images`")
            document = json.loads(samples[key]["json"]) | scores
            samples[key]["json"] = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        yield shard_name(keys), [(key, samples[key]) for key in keys]


def llava_record(key: str, text: str, extension: str) -> dict:
    """A pair as {id, image, conversations}; the instruction, and the side of it with the image, follow from the key."""
    draw = int(key[:8], 16)
    instruction = INSTRUCTIONS[draw % len(INSTRUCTIONS)]
    image_first = draw // len(INSTRUCTIONS) % 2
    question = f"<image>\n{instruction}" if image_first else f"{instruction}\n<image>"
    return {
        "id": key,
        "image": f"{key}.{extension}",
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": text}],
    }
