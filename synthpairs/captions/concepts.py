"""Which of the emoji world's concepts a caption is about."""

import re
from collections.abc import Sequence
from functools import cache

from synthpairs.emoji.inflection import inflector
from synthpairs.emoji.scenes import is_plural, plural


def first_concept(text: str, concepts: Sequence[str]) -> str:
    """The first of `concepts` that the text names, in singular or plural; empty if it names none."""
    forms = _forms(tuple(concepts))
    named = [forms[word] for word in re.findall(r"[a-z]+", text.lower()) if word in forms]
    return concepts[min(named)] if named else ""


@cache
def _forms(concepts: tuple[str, ...]) -> dict[str, int]:
    """Singular and plural forms, mapped to the index of the first concept that has them."""
    forms: dict[str, int] = {}
    for index, concept in enumerate(concepts):
        singular = inflector().singular_noun(concept) if is_plural(concept) else concept
        for form in (concept, str(singular), plural(concept)):
            forms.setdefault(form, index)
    return forms
