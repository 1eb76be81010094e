"""Readers of Parquet files, and of data sets in directories by Hugging Face's `datasets`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import Row, column_names
from synthpairs.core.errors import error_line

BATCH, IMAGE_BATCH = 1024, 16  # rows read at once, without and with images


def read_parquet(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Rows of a Parquet file; the default column of captions is `text`."""
    with pq.ParquetFile(path, buffer_size=2**20) as file:  # unbuffered, whole column chunks are read at once
        columns = _checked_columns(file.schema_arrow.names, path, source, key)
        yield from _rows(file.iter_batches(_batch(source), columns=sorted(set(columns.values()))), columns, str(path))


def read_huggingface(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Rows of all splits of a directory written by `save_to_disk`, or streamed by `load_dataset`.

    The default column of captions is `text`.
    """
    import datasets  # takes seconds

    saved = any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))
    try:
        loaded = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path), streaming=True)
        splits = loaded if isinstance(loaded, dict) else {"": loaded}
        names = {split: part.column_names or list(next(iter(part), {})) for split, part in splits.items()}
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(f"{key}.path: {path} is no data set for `datasets`: {error}") from None
    for split, part in splits.items():
        label = f"{path} {split}".strip()
        columns = _checked_columns(names[split], path, source, key)
        chosen = part.select_columns(sorted(set(columns.values()))).with_format("arrow")
        try:
            yield from _rows(chosen.iter(batch_size=_batch(source)), columns, label)
        except (ValueError, datasets.exceptions.DatasetsError) as error:  # raised by the library that reads the files
            yield Row(f"{label} from here on", "", fault=error_line(error))


def _batch(source: Source) -> int:
    return BATCH if source.columns.image is None else IMAGE_BATCH


def _checked_columns(known: list[str], path: Path, source: Source, key: str) -> dict[str, str]:
    """Column of each part of a row; ValueError for a missing column."""
    names = column_names(source.columns, "text")
    for part, name in names.items():
        if name not in known:
            raise ValueError(f"{key}.columns.{part}: {path} has no column {name!r}; it has {', '.join(known)}")
    return names


def _rows(batches: Iterator[Any], columns: dict[str, str], label: str) -> Iterator[Row]:
    """Rows of record batches or tables."""
    number = 0
    for batch in batches:
        cells = {part: _cells(batch.column(name)) for part, name in columns.items()}
        for values in zip(*cells.values(), strict=True):
            number += 1
            yield Row(f"{label} row {number}", **dict(zip(cells, values, strict=True)))


def _cells(column: Any) -> list[Any]:
    """Cells as Python values. Text is decoded cell by cell, because one that is not UTF-8 would make the column fail."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
        return [cell if cell is None else cell.decode("utf-8", "replace") for cell in column.to_pylist()]
    return list(column.to_pylist())
