import re

from synthpairs.captions.reasons import REASONS
from synthpairs.captions.text_filters import TEXT_FILTERS
from tests.pipeline import ROOT

CARD = 24  # characters that fit on a line of the gallery's cards


def test_every_reason_is_said_in_words_that_fit_on_a_card():
    sources = "".join(path.read_text() for path in (ROOT / "synthpairs/captions").rglob("*.py"))
    given = re.findall(r'(?:reject|Parsed)\((?:[^,()]+,)?\s*"(\w+)"', sources)
    assert set(REASONS) == {*given, *TEXT_FILTERS, "unusable"}
    assert [words for words in REASONS.values() if len(words) > CARD or "_" in words] == []
