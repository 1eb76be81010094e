"""Captions of the sources in params.yaml: every row of every file becomes a caption, maybe a rejected one."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from synthpairs.captions.concepts import first_concept
from synthpairs.captions.params import Source
from synthpairs.captions.readers.delimited import read_csv, read_text, read_tsv
from synthpairs.captions.readers.images import original
from synthpairs.captions.readers.json_files import read_coco, read_jsonl, read_karpathy, read_llava, read_sbu
from synthpairs.captions.readers.rows import Row, source_files, until_broken
from synthpairs.captions.readers.tables import read_huggingface, read_parquet
from synthpairs.captions.readers.webdataset import read_webdataset
from synthpairs.captions.record import Caption

log = logging.getLogger(__name__)
_SURROGATE = re.compile("[\ud800-\udfff]")
Reader = Callable[[Path, Source, str], Iterator[Row]]  # of (file, source, its key in params.yaml)
READERS: dict[str, Reader] = {
    "llava": read_llava,
    "coco": read_coco,
    "karpathy": read_karpathy,
    "sbu": read_sbu,
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "text": read_text,
    "webdataset": read_webdataset,
    "huggingface": read_huggingface,
}


def read_sources(sources: Sequence[Source], side: int, concepts: Sequence[str]) -> Iterator[Caption]:
    """Captions of all sources in order, with original images (see `original`); files are ordered by name.

    Several captions of one image are as many rows. Rows with unreadable text or image come as rejected captions (`unreadable`),
    whose detail names file and line. ValueError or FileNotFoundError for missing files, folders and columns; missing files
    raise before anything is read.
    """
    located = []
    for index, source in enumerate(sources):
        key = f"params.yaml: captions.sources[{index}]"
        check_source(source, key)
        located.append((source, key, source_files(source, key)))
    return _captions(located, side, concepts)


def _captions(
    located: Sequence[tuple[Source, str, list[Path]]], side: int, concepts: Sequence[str]
) -> Iterator[Caption]:
    for source, key, files in located:
        count = faults = 0
        folders = [Path(source.images or (path if path.is_dir() else path.parent)) for path in files]
        rows = ((row, folder) for path, folder in zip(files, folders, strict=True) for row in _rows(path, source, key))
        for row, folder in islice(rows, source.limit):
            caption = _caption(row, source, folder, side, concepts)
            count, faults = count + 1, faults + (caption.reason is not None)
            yield caption
        log.info("%s: %d captions from %d files, %d unreadable", source.name, count, len(files), faults)


def check_source(source: Source, key: str) -> None:
    """ValueError for columns that the format does not have, FileNotFoundError for a missing image folder."""
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
    """Rows of a file, one for each caption of an image; the rest of a truncated or broken file is one faulty row."""
    for row in until_broken(READERS[source.format](path, source, key), str(path)):
        if isinstance(row.text, list) and row.text and row.fault is None:
            for number, text in enumerate(row.text, 1):
                yield replace(row, where=f"{row.where} caption {number}", text=text)
        else:
            yield row


def _caption(row: Row, source: Source, folder: Path, side: int, concepts: Sequence[str]) -> Caption:
    """The caption of a row; the name of the source replaces an empty or missing source cell."""
    name = source.name if row.source is None or row.source == "" else row.source
    image, fault = None, row.fault
    if fault is None and not (isinstance(row.text, str) and isinstance(name, str)):
        fault = f"text and source must be strings, got {type(row.text).__name__} and {type(name).__name__}"
    if fault is None:
        try:
            image = original(row.image, folder, side)
        except ValueError as error:
            fault = str(error)
    if fault is None:
        text = _storable(row.text)
        return Caption(text=text, source=_storable(name), concept=first_concept(text, concepts), original=image)
    shown = _storable(row.text) if isinstance(row.text, str) else ""
    caption = Caption(text=shown, source=source.name, concept="")
    caption.reject("unreadable", _storable(f"{row.where}: {fault}"))
    return caption


def _storable(text: str) -> str:
    """The text with replacement characters for lone surrogates, which JSON can represent and UTF-8 cannot."""
    return _SURROGATE.sub("\ufffd", text)
