import json

import numpy as np
import pytest
from PIL import Image

from stages import report as stage
from synthpairs.core.storage import write_json
from synthpairs.report.codes import read_codes
from synthpairs.report.sections.synth2 import synth2
from synthpairs.report.tables import FIGURES
from tests.report.conftest import CODE_ARMS, PARAMS, answers, png, write_answers


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")


def section(arms=CODE_ARMS):
    return synth2(read_codes(arms), "said about diversity\n", lambda keys: [png(1)] * len(keys), PARAMS)


def test_the_section_holds_every_part(project):
    text, drawn = section()
    assert sorted(drawn) == ["code-arms.png", "codes.png"]
    for name in drawn:
        assert f"({FIGURES}/{name})" in text
    for heading in (
        "How many pairs each arm saw",
        "The arms of codes side by side",
        "The paper's figures beside ours",
        "Learning curves",
        "Speed",
        "From class names to pairs",
        "The masked generator",
        "How diverse the captions are",
    ):
        assert f"\n### {heading}\n" in text
    assert text.endswith("\n\nsaid about diversity")
    assert "| masked | 0.875 | 24 | 21.500 | 0.125 | 0.500 |" in text


def test_captions_against_the_blind_self_are_told_either_way(project):
    write_answers(project, "genpair", answers("genpair", {"desk_caption": (0.1, 0.1), "desk_pope": (0.9, 0.5),
                                                          "desk_vqa": (0.8, 0.3), "desk_text": (0.6, None)}))  # fmt: skip
    text, _ = section()
    assert "`real-codes` beats its blind self (0.650 [0.583, 0.725] against 0.142 [0.108, 0.184])" in text
    assert "`genpair` is not shown to beat its blind self (" in text


def test_the_funnel_counts_every_step(project):
    text, _ = section()
    assert "| captions that `invent` kept | 8 | 2 cut, 1 chatter, 1 failed |" in text
    assert "| captions that `screen` kept | 5 | 2 judge, 1 words |" in text
    assert "| grids that `embed` made | 10 | none |" in text
    assert "| real pairs that arms may see | 40 |  |" in text


def test_a_generator_that_was_not_measured_is_a_line(project):
    write_json(project / "models/desk/metrics.json", {"clip": {"n": 6}})
    text, _ = section()
    assert "Not measured: models/desk/metrics.json has no entry `masked`" in text


def test_the_stage_decodes_each_cell_from_its_own_codes(project):
    stage.main()
    shown = Image.open(project / "reports" / FIGURES / "codes.png")
    assert shown.size[0] == PARAMS.columns * (PARAMS.side + 16)
    cell = np.asarray(shown)[8 : 8 + PARAMS.side, 8 : 8 + PARAMS.side]
    assert cell.std() > 0
    manifest = json.loads((project / "data/embedded/generator.json").read_text())
    manifest["inputs"]["grid"] = [2, 2]
    write_json(project / "data/embedded/generator.json", manifest)
    with pytest.raises(ValueError, match="32 bytes of tokens, not those of 2 x 2"):
        stage.main()
