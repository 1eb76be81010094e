"""How much work params.yaml asks for: captions, candidates, pairs, conversations, answers, bytes.

Values are read one by one, with the checks that the arithmetic needs; `python -m synthpairs doctor` checks all of them.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from ruamel.yaml import YAML

from synthpairs.arms import Arm
from synthpairs.params import load_params

UNTRAINED = 1  # models that the benchmarks of pictures are asked of beside the arms
DESK_SIDE = 128  # pixels; a plan for larger pictures is one for a GPU
TWICE = 2  # with pictures and blind
MIX_665K = 665_298  # conversations of LLaVA-1.5's mix, the usual file of finetune.instructions


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the stages have to do."""

    read: int  # captions that curation reads
    captions: int  # that it keeps, or at most keeps
    told: str  # where that number is from
    candidates: int  # pictures
    steps: int  # of the sampler, for each
    guided: bool  # two forward passes for each step
    side: int  # pixels of a picture
    picture_bytes: float | None  # of one, measured on those that are there
    grids: int  # of the embeddings route
    grid_steps: int
    grids_guided: bool
    pairs: int  # that an arm is aligned with
    arms: list[str]
    align: int  # pairs that take a gradient step, for each arm
    finetune: int  # conversations, for each arm
    answers: int  # of all arms and the untrained model, with pictures and blind
    items: dict[str, int]  # of each benchmark
    llm_parameters: float | None  # of the VLM's language model; None: not known
    judge_parameters: float | None  # of the one that judges captions


class Document:
    """params.yaml; a value is asked for by its dotted key."""

    def __init__(self, path: Path) -> None:
        self.path, self._values = path, YAML(typ="safe").load(path)

    def get(self, key: str) -> Any:
        """The value; ValueError when there is no such key."""
        value = self._values
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise ValueError(f"{self.path}: {key} is missing")
            value = value[part]
        return value

    def number(self, key: str, low: float) -> float:
        """The value, a number from `low` up; ValueError for anything else."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < math.inf:
            raise ValueError(f"{self.path}: {key} must be a number >= {low}, got {value!r}")
        return value

    def count(self, key: str, low: int = 1) -> int:
        """As `number`, whole."""
        return int(self.number(key, low))


def read_work(path: Path, captions: int | None, data: Path) -> Work:
    """The work that params.yaml asks for; `captions` is how many are expected to be kept, None: as `data` or the sources say.

    ValueError names the key that is missing or makes no sense.
    """
    params = Document(path)
    read = _read(params, captions)
    kept, told = _kept(captions, read, data)
    candidates = kept * params.count("images.candidates")
    pairs = min(params.count("select.k"), candidates)
    arms = load_params(list[Arm], "arms", path)
    tasks = {name: params.count(f"tasks.{name}", 0) for name in ("caption", "pope", "vqa", "sqa", "text")}
    items = {task: tasks[str(task).removeprefix("desk_")] for task in params.get("benchmark.tasks.pictures")}
    own = params.count("tasks.instructions.pictures") + params.count("tasks.instructions.text", 0)
    talks = own if params.get("finetune.instructions") is None else MIX_665K
    judge = "captions.judge.server.model" if params.get("captions.judge.engine") == "server" else "captions.llm"
    return Work(
        read=read,
        captions=kept,
        told=told,
        candidates=candidates,
        steps=params.count("images.steps"),
        guided=params.number("images.guidance", 0) > 1,
        side=params.count("images.side", 8),
        picture_bytes=_picture_bytes(data / "images"),
        grids=_grids(params, data) * params.count("embed.candidates"),
        grid_steps=params.count("embed.steps"),
        grids_guided=params.number("embed.guidance", 0) > 1,
        pairs=pairs,
        arms=[str(arm) for arm in arms],
        align=_examples(params, "align", pairs),
        finetune=_examples(params, "finetune", talks),
        answers=sum(items.values()) * TWICE * (len(arms) + UNTRAINED),
        items=items,
        llm_parameters=parameters(str(params.get("vlm.llm"))),
        judge_parameters=parameters(str(params.get(judge))),
    )


def _read(params: Document, captions: int | None) -> int:
    """Captions that come in; a source without a limit can only be counted by reading it."""
    own = params.count("captions.human.pictures", 0)
    own += params.count("captions.model.per_concept", 0) * len(params.get("world.concepts"))
    sources = params.get("captions.sources") or []
    unlimited = [str(source.get("name")) for source in sources if source.get("limit") is None]
    if unlimited and captions is None:
        raise ValueError(
            f"{params.path}: captions.sources: {unlimited[0]} has no limit, so nobody knows how many captions it holds: "
            "give one, or say `--captions N`"
        )
    return max(own + sum(source.get("limit") or 0 for source in sources), captions or 0)


def _kept(captions: int | None, read: int, data: Path) -> tuple[int, str]:
    table = data / "captions/kept.parquet"
    if captions is not None:
        return captions, "as asked for by --captions"
    if table.exists():
        return pq.read_metadata(table).num_rows, f"rows of {table}"
    return read, "all that are read: what the filters reject is not known before they run"


def _grids(params: Document, data: Path) -> int:
    table = data / "screened/kept.parquet"
    if table.exists():
        return int(pq.read_metadata(table).num_rows)
    classes = 0
    if "world" in params.get("invent.banks"):
        classes += len(params.get("world.concepts"))
    if "imagenet" in params.get("invent.banks"):
        classes += params.get("invent.imagenet.classes") or 11_221  # of ImageNet-21K-P
    return classes * params.count("invent.per_class")


def _examples(params: Document, section: str, there: int) -> int:
    """Examples that a training takes a step on."""
    wanted = math.ceil(there * params.number(f"{section}.epochs", 0))
    if params.get(f"{section}.max_steps") is None:
        return wanted
    return min(wanted, params.count(f"{section}.max_steps", 0) * params.count(f"{section}.batch"))


def _picture_bytes(images: Path) -> float | None:
    """Bytes of a stored picture, its share of the tar included."""
    table, shards = images / "manifest.parquet", list(images.glob("shard-*.tar"))
    rows = pq.read_metadata(table).num_rows if table.exists() else 0
    return sum(shard.stat().st_size for shard in shards) / rows if rows and shards else None


def parameters(model: str) -> float | None:
    """Parameters of a directory's safetensors, or as a name says it (vicuna-7b, 0.5B, 135M); None when neither tells."""
    total = 0.0
    for file in sorted(Path(model).glob("*.safetensors")) if Path(model).is_dir() else []:
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    if total:
        return total
    said = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.partition("@")[0].lower())
    return float(said[1]) * (1e9 if said[2] == "b" else 1e6) if said else None
