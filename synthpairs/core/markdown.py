"""Tables in Markdown."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[Any]], words: Collection[int] | None = None) -> str:
    """A Markdown table. All columns but those with an index in `words` are right-aligned; None aligns none."""
    rule = ["---" if words is None or index in words else "---:" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in [head, rule, *rows])
