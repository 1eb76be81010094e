"""How much work curation is: how many captions come in, how many with a picture, and who is asked about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from synthpairs.artwork.world import World
from synthpairs.captions.params import CaptionParams, Source
from synthpairs.planning.load import Load
from synthpairs.planning.params import Document, model_parameters

CAPTION_BYTES = 500.0  # in kept.parquet or rejected.parquet


@dataclass(frozen=True, slots=True, kw_only=True)
class Captions:
    """Captions by where they come from and what becomes of them."""

    read: int  # all that curation reads
    written: int  # of them, by the language model
    originals: int  # of them, at most: with a picture
    kept: int  # at most
    told: str  # where that number is from
    table: Path  # of the kept ones, if it is there


def count_captions(params: Document, expected: int | None, data: Path) -> Captions:
    """What comes in; `expected` is how many are to be kept, None: as `data` or the sources say.

    ValueError for a source without a limit where nothing is expected: it can only be counted by reading it.
    """
    section, world = params.get("captions", CaptionParams), params.get("world", World)
    drawn, written = section.human.pictures, section.model.per_concept * len(world.concepts)
    unlimited = [source.name for source in section.sources if source.limit is None]
    if unlimited and expected is None:
        raise ValueError(
            f"{params.path}: captions.sources: {unlimited[0]} has no limit, so nobody knows how many captions it holds: "
            "give one, or say `--captions N`"
        )
    read = max(drawn + written + sum(source.limit or 0 for source in section.sources), expected or 0)
    pictured = sum(source.limit or read for source in section.sources if _has_pictures(source))
    table = data / "captions/kept.parquet"
    if expected is not None:
        kept, told = expected, "as asked for by --captions"
    elif table.exists():
        kept, told = pq.read_metadata(table).num_rows, f"rows of {table}"
    else:
        kept, told = read, "all that are read: what the filters reject is not known before they run"
    originals = min(drawn + pictured, read - written)
    return Captions(read=read, written=written, originals=originals, kept=kept, told=told, table=table)


def _has_pictures(source: Source) -> bool:
    return source.format == "webdataset" or source.columns.image is not None


def caption_loads(params: Document, captions: Captions) -> Iterator[Load]:
    """Stage `captions`, as if every filter were asked about every caption: the first ones spare the others some."""
    section = params.get("captions", CaptionParams)
    read, llm = captions.read, model_parameters(params, section.llm)
    yield Load(stage="captions", part="rules", rate="captions.rules", pieces=read, starts=1, disk=read * CAPTION_BYTES)
    if captions.written:
        yield Load(stage="captions", part="writing", rate="captions.written", pieces=captions.written, size=llm)
    if captions.originals:
        pixels = section.human.side**2
        yield Load(
            stage="captions", part="originals", rate="captions.originals", pieces=captions.originals, size=pixels
        )
    perplexity, judge = section.perplexity.engine, section.judge.engine
    if perplexity == "kenlm":
        yield Load(stage="captions", part="KenLM", rate="captions.kenlm", pieces=read)
    elif perplexity == "llm":
        yield Load(stage="captions", part="perplexity", rate="captions.perplexity", pieces=read, size=llm)
    if judge == "server":
        served = model_parameters(params, section.judge.server.model)
        yield Load(stage="captions", part="judge", rate="captions.server", pieces=read, size=served)
    elif judge == "llm":
        yield Load(stage="captions", part="judge", rate="captions.judge", pieces=read, size=llm)
    if section.blip is not None and captions.originals:
        yield Load(stage="captions", part="BLIP", rate="captions.blip", pieces=captions.originals)
