"""English inflection: the shared `inflect` engine, loaded without typeguard's checks."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect


@cache
def inflector() -> "inflect.engine":
    """Inflect's engine. Its typeguard instrumentation is switched off on import: it costs a second and changes no result."""
    import typeguard

    typechecked, typeguard.typechecked = typeguard.typechecked, lambda function: function  # type: ignore[assignment]
    try:
        import inflect
    finally:
        typeguard.typechecked = typechecked
    return inflect.engine()
