"""The sources of params.yaml to captions: every row of every file becomes one, good or already rejected."""

import logging
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from synthpairs.captions.params import Source
from synthpairs.captions.readers.archives import read_webdataset
from synthpairs.captions.readers.delimited import read_csv, read_text, read_tsv
from synthpairs.captions.readers.json_files import read_jsonl, read_llava
from synthpairs.captions.readers.pictures import original
from synthpairs.captions.readers.rows import Row, describe, files_of
from synthpairs.captions.readers.tables import read_huggingface, read_parquet
from synthpairs.captions.record import Caption
from synthpairs.captions.sources import mentioned

log = logging.getLogger(__name__)
_SURROGATE = re.compile("[\ud800-\udfff]")
Reader = Callable[[Path, Source, str], Iterator[Row]]  # of a file; errors begin with the source's key in params.yaml
READERS: dict[str, Reader] = {
    "llava": read_llava,
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "text": read_text,
    "webdataset": read_webdataset,
    "huggingface": read_huggingface,
}


def read_sources(sources: Sequence[Source], side: int, concepts: Sequence[str]) -> Iterator[Caption]:
    """The captions of all sources in their order, of a source's files in the order of their names, one at a time.

    A row that cannot be read is a caption that is already rejected (`unreadable`), as is one whose picture cannot be:
    its detail names file and line. Pictures become originals of `side` x `side` pixels. A source, file, folder or column
    that is not there is a ValueError or FileNotFoundError; all sources' files are looked for at once, before any is read.
    """
    found = []
    for place, source in enumerate(sources):
        key = f"params.yaml: captions.sources[{place}]"
        check_source(source, key)
        found.append((source, key, files_of(source, key)))
    return _captions(found, side, concepts)


def _captions(found: Sequence[tuple[Source, str, list[Path]]], side: int, concepts: Sequence[str]) -> Iterator[Caption]:
    for source, key, files in found:
        count = faults = 0
        folders = [Path(source.images or (path if path.is_dir() else path.parent)) for path in files]
        rows = ((row, at) for path, at in zip(files, folders, strict=True) for row in _rows(path, source, key))
        for row, folder in islice(rows, source.limit):
            caption = _caption(row, source, folder, side, concepts)
            count, faults = count + 1, faults + (caption.reason is not None)
            yield caption
        log.info("%s: %d captions from %d files, %d unreadable", source.name, count, len(files), faults)


def check_source(source: Source, key: str) -> None:
    """ValueError for columns that its format has not, FileNotFoundError without its folder of pictures."""
    columns = source.columns
    if source.format == "text" and (columns.text, columns.image, columns.source) != (None, None, None):
        raise ValueError(f"{key}.columns: a text file has none; every column must be null")
    if source.images is not None and columns.image is None:
        raise ValueError(
            f"{key}.images is {source.images!r}, but columns.image is null: name the column that has the paths"
        )
    if source.images is not None and not Path(source.images).is_dir():
        raise FileNotFoundError(f"{key}.images: {source.images!r} is not a directory")


def _rows(path: Path, source: Source, key: str) -> Iterator[Row]:
    """A file's rows; where it is cut or broken the rest is one row at fault."""
    try:
        yield from READERS[source.format](path, source, key)
    except (EOFError, zlib.error, tarfile.TarError, pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's: a disk that fails, no permission
            raise
        yield Row(f"{path} from here on", "", fault=describe(error))


def _caption(row: Row, source: Source, folder: Path, side: int, concepts: Sequence[str]) -> Caption:
    """The caption of a row; an empty or missing source is the name that params.yaml gives."""
    name = source.name if row.source is None or row.source == "" else row.source
    picture, fault = None, row.fault
    if fault is None and not (isinstance(row.text, str) and isinstance(name, str)):
        fault = f"text and source must be strings, got {type(row.text).__name__} and {type(name).__name__}"
    if fault is None:
        try:
            picture = original(row.image, folder, side)
        except ValueError as error:
            fault = str(error)
    if fault is None:
        text = _storable(row.text)
        return Caption(text=text, source=_storable(name), concept=mentioned(text, concepts), original=picture)
    shown = _storable(row.text) if isinstance(row.text, str) else ""
    caption = Caption(text=shown, source=source.name, concept="")
    caption.reject("unreadable", _storable(f"{row.where}: {fault}"))
    return caption


def _storable(text: str) -> str:
    """Half of a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a replacement character."""
    return _SURROGATE.sub("\ufffd", text)
