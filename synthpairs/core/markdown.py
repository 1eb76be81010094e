"""Tables in Markdown."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[Any]], words: Collection[int] | None = None) -> str:
    """A table; columns with numbers, all but those at the places `words`, are aligned to the right; None: no column is."""
    rule = ["---" if words is None or place in words else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in [head, rule, *rows])
