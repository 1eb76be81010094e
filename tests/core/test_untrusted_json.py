"""JSON from outside: the limit of nesting. The reader of lists is tested with captions."""

import json

import pytest

from synthpairs.core.untrusted_json import LEVELS, loads


@pytest.mark.parametrize("encode", [str, str.encode, lambda text: text.encode("utf-16")])
def test_json_of_more_than_a_hundred_levels_is_refused(encode):
    brackets = json.dumps("[{" * 2000)  # in a string they nest nothing
    for levels in (LEVELS, LEVELS + 1, 500, 100_000):
        text = encode("[" * levels + brackets + "]" * levels)
        if levels == LEVELS:
            assert loads(text) == json.loads(text)
        else:
            with pytest.raises(ValueError, match="nested deeper than 100 levels"):
                loads(text)
