"""How much work pictures are: drafts, steps of base and refiner, long prompts, scores, selection, audit; and token grids."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from synthpairs.artwork.world import World
from synthpairs.audit.params import Audit
from synthpairs.captions.params import Limits
from synthpairs.embeddings.params import Embed
from synthpairs.images.params import Images
from synthpairs.invention.params import Invent
from synthpairs.planning.curation import Captions
from synthpairs.planning.load import Load
from synthpairs.planning.params import Document
from synthpairs.planning.rates import BYTES_PER_PIXEL, PICTURE_COPIES, REFINER_STEP
from synthpairs.selection.params import Select

CHUNK, MOST_CHUNKS = 75, 4  # tokens that CLIP reads at once, and how often it does (synthpairs/images/prompts.py)
TOKENS_PER_WORD = 1.3  # a guess for captions of the web; the desk's have 1.04
SCORE_BYTES, GRID_BYTES = 200.0, 2048.0
IMAGENET_CLASSES = 11_221  # of ImageNet-21K-P


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """How many of them, and how one is made."""

    drafts: int  # painted in few steps first; 0 without `images.draft`
    painted: int  # in all steps, at most
    steps: float  # of SDXL's base, guided, that one takes the time of
    draft_steps: float  # likewise
    runs: float  # of the pipeline for each batch: captions of several lengths are painted apart
    side: int  # pixels
    bytes: float  # of one, in one copy


def count_pictures(params: Document, captions: Captions, data: Path) -> tuple[Pictures, list[str]]:
    """The pictures of the captions that `images.limit` lets through, and what had to be assumed about them."""
    images = params.get("images", Images)
    candidates, draft, side = images.candidates, images.draft, images.side
    each = min(candidates, draft.keep) if draft else candidates
    within = captions.kept if images.limit is None else min(captions.kept, images.limit // each)
    runs, notes = 1.0, []
    passes, share = _passes(images.guidance), images.refiner.base_share if images.refiner else 1.0
    if draft and draft.cosine_min is not None:
        notes.append(
            "images.draft.cosine_min: how many drafts fall short of it is not known; all are counted as painted"
        )
    if images.long_prompts == "chunk":
        words_max = params.get("captions.limits", Limits).words_max
        runs, told = _runs(words_max, images.batch, captions.table)
        notes.append(told)
    return Pictures(
        drafts=within * candidates if draft else 0,
        painted=within * each,
        steps=passes * base_steps(images.steps, share),
        draft_steps=passes * base_steps(draft.steps, share) if draft else 0,
        runs=runs,
        side=side,
        bytes=_stored_bytes(data / "images") or side**2 * BYTES_PER_PIXEL,
    ), notes


def base_steps(steps: int, base_share: float) -> float:
    """Steps of SDXL's base that take as long as so many, of which the refiner does what `base_share` leaves it."""
    return steps * (base_share + (1 - base_share) * REFINER_STEP)


def picture_loads(params: Document, pictures: Pictures) -> Iterator[Load]:
    """Stages `images`, `scores` and `select`."""
    count, pixels, runs = pictures.painted, pictures.side**2, pictures.runs
    if pictures.drafts:
        yield Load(
            stage="images", part="drafts", rate="images", size=pixels,
            pieces=pictures.drafts * runs * pictures.draft_steps, items=pictures.drafts * runs,
        )  # fmt: skip
        yield Load(stage="images", part="drafts' CLIP", rate="images.cosines", pieces=pictures.drafts, size=pixels)
    yield Load(
        stage="images", part="pictures" if pictures.drafts else "", rate="images", size=pixels,
        pieces=count * runs * pictures.steps, items=count * runs, starts=1, disk=count * pictures.bytes * PICTURE_COPIES,
    )  # fmt: skip
    yield Load(stage="scores", rate="scores", pieces=count, size=pixels, starts=1, disk=count * SCORE_BYTES)
    selected = min(params.get("select", Select).k, count)
    yield Load(stage="select", rate="select", pieces=count, disk=selected * pictures.bytes * 2)


def audit_loads(params: Document, count: int, side: int) -> Iterator[Load]:
    """Stage `audit`, which looks at so many pictures."""
    pixels, audit = side**2, params.get("audit", Audit)
    cosines = audit.cosine_min is not None
    yield Load(stage="audit", part="hashes", rate="audit.hashes", pieces=count, size=pixels, starts=int(cosines))
    if cosines:
        yield Load(stage="audit", part="CLIP", rate="audit.cosines", pieces=count, size=pixels)
    if audit.text:
        yield Load(stage="audit", part="text in pictures", rate="audit.text", pieces=count, size=pixels)
    if audit.nsfw is not None:
        yield Load(stage="audit", part="NSFW", rate="audit.nsfw", pieces=count)


def grid_loads(params: Document, data: Path) -> Iterator[Load]:
    """Stage `embed`: token grids of the screened captions, or of as many as are to be invented."""
    embed, table = params.get("embed", Embed), data / "screened/kept.parquet"
    captions = pq.read_metadata(table).num_rows if table.exists() else _invented(params)
    grids, steps = captions * embed.candidates, embed.steps * _passes(embed.guidance)
    yield Load(stage="embed", rate="embed", pieces=grids * steps, starts=1, disk=grids * GRID_BYTES)


def _invented(params: Document) -> int:
    invent, classes = params.get("invent", Invent), 0
    if "world" in invent.banks:
        classes += len(params.get("world", World).concepts)
    if "imagenet" in invent.banks:
        classes += invent.imagenet.classes or IMAGENET_CLASSES
    return classes * invent.per_class


def _passes(guidance: float) -> float:
    """Passes through the denoiser that a step takes, beside the two of guidance."""
    return 1.0 if guidance > 1 else 0.5


def _runs(words_max: int, batch: int, table: Path) -> tuple[float, str]:
    """How many lengths, in chunks, a batch holds on average, and where that is from: a batch is filled up for each."""
    if not table.exists():
        most = _chunks(words_max)
        return (
            most,
            f"images.long_prompts: each batch is taken to hold captions of {most} lengths, until there are some",
        )
    texts = pq.read_table(table, columns=["text"])["text"].to_pylist()
    lengths = [_chunks(len(text.split())) for text in texts]
    shares = [lengths.count(count) / len(lengths) for count in range(1, MOST_CHUNKS + 1)] if lengths else [1.0]
    runs = sum(1 - (1 - share) ** batch for share in shares)
    return (
        runs,
        f"images.long_prompts: a batch of {batch} holds captions of {runs:.2f} lengths, by the words in {table}",
    )


def _chunks(words: int) -> int:
    return min(max(1, math.ceil(words * TOKENS_PER_WORD / CHUNK)), MOST_CHUNKS)


def _stored_bytes(images: Path) -> float | None:
    """Bytes of a stored picture, its share of the tar included."""
    table, shards = images / "manifest.parquet", list(images.glob("shard-*.tar"))
    rows = pq.read_metadata(table).num_rows if table.exists() else 0
    return sum(shard.stat().st_size for shard in shards) / rows if rows and shards else None
