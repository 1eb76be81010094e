"""Identity of the pair list, and the check that a model was trained on this very list (Synth2's controlled protocol)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthpairs.emoji.scenes import Scene

RECORD = "pairs.json"  # in the folder of a model that was trained on the list
_RETRAIN = "train it anew: `dvc --cd desk_models repro && python -m desk_models.publish`"


def pair_list_hash(scenes: Sequence[Scene], pngs: Mapping[str, bytes]) -> str:
    """SHA-256 of all scenes in order and of the drawings in them; `pngs` maps drawing ids to PNG files."""
    total = hashlib.sha256()
    for scene in scenes:
        document = json.dumps(asdict(scene), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        total.update(f"{document}\n".encode())
    for drawing in sorted({thing.drawing for scene in scenes for thing in scene.things}):
        total.update(f"{drawing}\0{hashlib.sha256(pngs[drawing]).hexdigest()}\n".encode())
    return total.hexdigest()


def describe(scenes: Sequence[Scene], rows: Sequence[dict]) -> dict[str, Any]:
    """The content of RECORD for a list: its `sha256` and number of `scenes`; `rows` of DRAWINGS holds their drawings."""
    return {"sha256": pair_list_hash(scenes, {row["drawing"]: row["png"] for row in rows}), "scenes": len(scenes)}


def require_same_pair_list(folder: Path, described: dict[str, Any]) -> None:
    """ValueError unless the model in `folder` was trained on the described list; FileNotFoundError without RECORD."""
    path = folder / RECORD
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it names the pair list that the model was trained on; {_RETRAIN}")
    try:
        record = json.loads(path.read_bytes())
        recorded = f"{record['sha256']} ({record['scenes']} scenes)"
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} names no pair list (sha256 and scenes); {_RETRAIN}") from None
    if record != described:
        change = (
            "encode_real_pairs.seed, encode_real_pairs.kinds, world.concepts or emoji.image_size of params.yaml, or the pinned "
            "emoji sets have changed"
        )
        if record["scenes"] != described["scenes"]:
            change = f"params.yaml: encode_real_pairs.scenes was {record['scenes']}"
        raise ValueError(
            f"{path}: the model learnt from the pair list {recorded}, but params.yaml and data/emoji give "
            f"{described['sha256']} ({described['scenes']} scenes): {change}; put that back, or {_RETRAIN}"
        )
