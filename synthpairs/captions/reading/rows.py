"""What every format's reader yields: one row of a file, whole or with what is wrong with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthpairs.captions.params import Columns

SHOWN = 1000  # characters of a row that cannot be read, which its rejection keeps


@dataclass(slots=True)
class Row:
    """The cells that a caption is made of, as they stand in the file; `fault` says why there are none.

    `image` is an encoded picture, a mapping with `bytes` or `path`, a path, or None. With a fault `text` is what stood there.
    """

    where: str  # file and line, row, record or sample
    text: Any = None
    source: Any = None
    image: Any = None
    fault: str | None = None


def describe(error: BaseException) -> str:
    """An error in one line of a rejection's detail."""
    return f"{type(error).__name__}: {error}"


class Fields:
    """Takes rows out of JSON objects, whose fields no header declares.

    An object without the text's field is a row at fault, one without the others' has none; `check` finds columns that no
    object of the file has. `read` turns the text's field into the text.
    """

    def __init__(
        self, path: Path, key: str, columns: Columns, text: str, read: Callable[[Any], Any] = lambda cell: cell
    ) -> None:
        self.path, self.key, self.read = path, key, read
        self.text, self.source, self.image = text, columns.source, columns.image
        self.named = {"text": text, "source": columns.source, "image": columns.image}
        self.unseen = {part for part, name in self.named.items() if name is not None}
        self.known: list[str] | None = None  # fields of the first object

    def row(self, record: Any, where: str) -> Row:
        """The row of a parsed object; a fault when it is none, or its text cannot be had."""
        try:
            if not isinstance(record, dict):
                raise TypeError(f"an object is needed, not {type(record).__name__}")
            if self.known is None:
                self.known = list(record)
            if self.unseen:
                self.unseen -= {part for part in self.unseen if self.named[part] in record}
            if self.text not in record:
                raise KeyError(self.text)
            text = self.read(record[self.text])
        except (TypeError, KeyError, ValueError) as error:
            return Row(where, text=json.dumps(record, ensure_ascii=False)[:SHOWN], fault=describe(error))
        return Row(
            where,
            text,
            record.get(self.source) if self.source is not None else None,
            record.get(self.image) if self.image is not None else None,
        )

    def check(self) -> None:
        """ValueError when the file had objects and none of them has a column that params.yaml names."""
        if self.known is not None and self.unseen:
            part = min(self.unseen)
            raise ValueError(
                f"{self.key}.columns.{part}: no record of {self.path} has the field {self.named[part]!r}; "
                f"the first has {', '.join(self.known) or 'none'}"
            )
