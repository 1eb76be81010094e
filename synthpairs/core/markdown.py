"""Tables in Markdown, and foreign text in it, such as captions, sources and params, that must not act as markup."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

LENGTH = 80  # characters of a text in a table
# Everything that Markdown or HTML interprets, bare addresses included, of which hosts make links.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|&~$#@:!]|\.(?=\w)")
_LINE_END, _PIPE = re.compile(r"[\r\n]+"), re.compile(r"(?<!\\)((?:\\\\)*)\|")


def literal(text: str, limit: int = LENGTH) -> str:
    """Text escaped for a table cell: one line, invisible characters named, cut at `limit` characters."""
    visible = "".join(
        " " if char.isspace() else char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text[: limit + 1]
    )
    cut = f"{visible[:limit].rstrip()} ... ({len(text):,} characters)" if len(text) > limit else visible
    return _MARKUP.sub(r"\\\g<0>", cut.strip()) or "(nothing)"


def code(text: str) -> str:
    """A name as inline code, which nothing in it ends: `literal` for one with backticks, line ends or only spaces."""
    return f"`{text}`" if text.strip() and text.isprintable() and "`" not in text else literal(text)


def markdown_table(head: Sequence[str], rows: Iterable[Iterable[Any]], words: Collection[int] | None = None) -> str:
    """A Markdown table. All columns but those with an index in `words` are right-aligned; None aligns none.

    Cells may hold markup, but nothing in one ends it: line ends become spaces, and `|` is escaped where it is not yet.
    """
    rule = ["---" if words is None or index in words else "---:" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in [head, rule, *rows])


def _cell(value: Any) -> str:
    return _PIPE.sub(r"\1\\|", _LINE_END.sub(" ", str(value)))
