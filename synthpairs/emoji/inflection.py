"""The inflector that every wording shares: articles, plurals, singulars."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect


@cache
def inflector() -> "inflect.engine":
    """Inflect's engine, without the checks of argument types that it has typeguard weave in.

    Weaving reads its 4,000 lines once for each of 12 methods: more than a second at every start of every stage that words
    anything. What it says stays the same.
    """
    import typeguard

    weave, typeguard.typechecked = typeguard.typechecked, lambda function: function  # type: ignore[assignment]
    try:
        import inflect
    finally:
        typeguard.typechecked = weave
    return inflect.engine()
