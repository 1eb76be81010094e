"""The concept of a caption."""

import pytest

from synthpairs.captions.concepts import first_concept
from tests.captions.conftest import CONCEPTS


@pytest.mark.parametrize(
    ("text", "concepts", "concept"),
    [
        ("Two BUSES!", CONCEPTS, "bus"),
        ("one red cherry", CONCEPTS, "cherries"),
        ("a dogma about cattle", CONCEPTS, ""),
        ("a bus, cats and a dog", CONCEPTS, "cat"),  # in the order of the concepts
        ("a bus, cats and a dog", ["dog", "cat"], "dog"),
    ],
)
def test_concepts_are_matched_as_whole_words_in_singular_or_plural(text, concepts, concept):
    assert first_concept(text, concepts) == concept
