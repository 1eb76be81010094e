"""Readers of Parquet files, and of data sets in directories by Hugging Face's `datasets`."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthpairs.captions.params import Source
from synthpairs.captions.readers.rows import Row, check_columns, column_names, until_broken
from synthpairs.core.config import ParamsError
from synthpairs.core.errors import error_line
from synthpairs.core.untrusted_json import loads

BATCH, IMAGE_BATCH = 1024, 16  # rows read at once, without and with images
_KINDS = {"arrow", "csv", "imagefolder", "json", "parquet", "text"}  # that `datasets` reads as data alone


def read_parquet(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Rows of a Parquet file; the default column of captions is `text`."""
    with pq.ParquetFile(path, buffer_size=2**20) as file:  # unbuffered, whole column chunks are read at once
        columns = column_names(source.columns, "text")
        check_columns(columns, file.schema_arrow.names, path, key)
        yield from _rows(file.iter_batches(_batch(source), columns=sorted(set(columns.values()))), columns, str(path))


def read_huggingface(path: Path, source: Source, key: str) -> Iterator[Row]:
    """Rows of all splits of a directory written by `save_to_disk`, or streamed by `load_dataset`.

    The default column of captions is `text`. Nothing outside of the directory is read, no server asked and no code run.
    """
    saved = any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))
    try:
        splits = {split: part.with_format("arrow") for split, part in (_saved if saved else _streamed)(path).items()}
        names = {
            split: part.column_names or next(part.iter(1), pa.table({})).column_names for split, part in splits.items()
        }
    except Exception as error:  # of many types
        raise ParamsError([f"{key}.path: {path} is no data set for `datasets`: {error_line(error)}"]) from None
    columns = column_names(source.columns, "text")
    for split, part in splits.items():
        label = f"{path} {split}".strip()
        check_columns(columns, names[split], path, key)
        chosen = part.select_columns(sorted(set(columns.values())))
        yield from until_broken(_rows(chosen.iter(batch_size=_batch(source)), columns, label), label)


def _saved(folder: Path) -> dict[str, Any]:
    """The splits of a data set that `save_to_disk` wrote."""
    from datasets import Dataset, concatenate_datasets  # takes seconds

    whole = folder / "dataset_dict.json"
    splits: dict[str, Any] = {}
    for split in loads(_inside(whole, folder).read_bytes())["splits"] if whole.is_file() else [""]:
        state = _inside(folder / split / "state.json", folder)
        files = [_inside(state.parent / file["filename"], folder) for file in loads(state.read_bytes())["_data_files"]]
        splits[split] = concatenate_datasets([Dataset.from_file(str(file)) for file in files])
    return splits


def _streamed(folder: Path) -> dict[str, Any]:
    """The splits of a data set in files, which the YAML of its README.md may name."""
    from datasets import load_dataset_builder  # takes seconds
    from huggingface_hub import DatasetCard

    if (folder / ".huggingface.yaml").exists():
        raise ValueError("its .huggingface.yaml is not read; put it into README.md")
    if (card := folder / "README.md").is_file():
        for config in DatasetCard.load(_inside(card, folder)).data.get("configs") or []:
            for name in _strings([config.get("data_files"), config.get("data_dir")]):
                if ":" in name or Path(name).is_absolute() or ".." in Path(name).parts:
                    raise ValueError(f"README.md names {name!r}, which is not in the directory")
    builder = load_dataset_builder(str(folder))
    if (kind := builder.__module__.rpartition(".")[2]) not in _KINDS:
        raise ValueError(f"its files are of the kind {kind!r}, not {', '.join(sorted(_KINDS))}")
    for file in chain.from_iterable(builder.config.data_files.values()):
        _inside(Path(file), folder)
    return dict(builder.as_streaming_dataset())


def _strings(value: Any) -> Iterator[str]:
    """The texts in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _inside(file: Path, folder: Path) -> Path:
    """The file itself; ValueError if it is outside of the folder, or a link that leads there."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file} leads out of it")
    return file


def _batch(source: Source) -> int:
    return BATCH if source.columns.image is None else IMAGE_BATCH


def _rows(batches: Iterator[Any], columns: dict[str, str], label: str) -> Iterator[Row]:
    """Rows of record batches or tables."""
    number = 0
    for batch in batches:
        cells = {part: _cells(batch.column(name)) for part, name in columns.items()}
        for values in zip(*cells.values(), strict=True):
            number += 1
            yield Row(f"{label} row {number}", **dict(zip(cells, values, strict=True)))


def _cells(column: Any) -> list[Any]:
    """Cells as Python values. Text is decoded cell by cell, because one that is not UTF-8 would make the column fail.

    ValueError for a damaged column: offsets of a file that is mapped into memory may lead beyond its end.
    """
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        binary = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(chunk.type)
        (chunk.view(binary) if binary else chunk).validate(full=True)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
        return [cell if cell is None else cell.decode("utf-8", "replace") for cell in column.to_pylist()]
    return [_cell(cell) for cell in column]


def _cell(cell: pa.Scalar) -> Any:
    """A cell as a Python value; the error itself, which is neither text nor image, if there is none, as of the year 200000."""
    try:
        return cell.as_py()
    except Exception as error:  # of many types
        return error
