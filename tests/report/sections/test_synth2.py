import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from stages import report as stage
from synthpairs.core.storage import write_json
from synthpairs.report.results import read_synth2_results
from synthpairs.report.sections.synth2 import synth2
from synthpairs.report.tables import FIGURES
from tests.pipeline import ROOT
from tests.report.conftest import CODE_SKILL, PARAMS, TOKEN_ARMS, answers, png, write_answers


def parts(results, params=PARAMS):
    """Verdict, section and figures."""
    return synth2(results, "text on diversity\n", lambda keys: [png(1)] * len(keys), params)


def section(results):
    return parts(results)[1:]


def test_the_section_holds_every_part(synth2_results):
    text, drawn = section(synth2_results)
    assert sorted(drawn) == ["token-arms.png", "tokens.png"]
    assert [part for part in (
        f"({FIGURES}/token-arms.png)", f"({FIGURES}/tokens.png)", "### Number of pairs of each arm\n",
        "### Arms on VQ tokens compared\n", "### Claims of the paper\n",
        "### From class names to pairs\n", "### The masked generator\n", "### Diversity of the captions\n",
        "| masked | 0.875 | 24 | 21.500 | 0.125 | 0.500 |",
        "| captions that `class_captions` kept | 8 | cut off: 2, speaks to the reader: 1, failed: 1 |",
        "| captions that `filter_captions` kept | 5 | the judge says no: 2, wrong number of words: 1 |",
        "| grids that `generate_tokens` generated | 10 | none |",
        "| real pairs available to the arms | 40 |  |",
    ) if part not in text] == []  # fmt: skip
    assert text.endswith("\n\ntext on diversity")


def test_real_pairs_that_the_generator_was_not_trained_on_are_said_to_break_the_protocol(project, synth2_results):
    assert "(the paper's controlled protocol): at desk scale emoji scenes" in section(synth2_results)[0]
    metrics = {"used": 40, "codes_used": 0.5, "generator_trained_on_these": False}
    write_json(project / "reports/metrics/encode_real_pairs.json", metrics)
    text, _ = section(read_synth2_results(TOKEN_ARMS))
    assert "**The paper's controlled protocol is broken**" in text
    assert "real scenes that the generator was trained on" not in text
    write_json(project / "reports/metrics/encode_real_pairs.json", metrics | {"generator_trained_on_these": True})
    assert (
        "(the paper's controlled protocol): captions with their originals."
        in section(read_synth2_results(TOKEN_ARMS))[0]
    )


def test_claims_that_no_run_tests_stand_with_those_of_the_run_at_desk_scale_alone(project, synth2_results):
    unmeasured = "Fewer steps and faster training are measured by `make experiments` and `make speed`."
    assert unmeasured in section(synth2_results)[0]
    shutil.copytree(ROOT / "reports/experiments", project / "reports/experiments")
    verdict, text, _ = parts(read_synth2_results(TOKEN_ARMS))
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| f")}
    assert "; n = 8 runs of each ([measured" in rows["| faster training than on pixels"]
    assert ", 3 seeds ([measured" in rows["| fewer training steps to the level of real pairs"]
    assert unmeasured not in text
    assert " in pretraining without the language model, " in verdict
    write_json(project / "reports/metrics/encode_real_pairs.json", {"used": 40, "codes_used": 0.5})
    assert unmeasured in section(read_synth2_results(TOKEN_ARMS))[0]


def test_captions_are_compared_with_those_without_the_image(project):
    write_answers(project, "genpair", answers("genpair", CODE_SKILL | {"desk_caption": (0.1, 0.1)}))
    write_json(project / "models/desk/metrics.json", {"clip": {"n": 6}})
    verdict, text, _ = parts(read_synth2_results(TOKEN_ARMS), replace(PARAMS, key_tasks=["desk_caption"]))
    assert re.search(
        r"\*\*Not shown for all\*\*: `genpair` on desk_caption \(0\.\d+ \[.*\], without the image 0\.1\d\d \[", verdict
    )
    assert "`real-tokens` on desk_caption" not in verdict
    assert "Not measured: models/desk/metrics.json has no entry `masked`" in text


def test_the_stage_decodes_each_cell_from_its_own_codes(project):
    stage.main()
    shown = Image.open(project / "reports" / FIGURES / "tokens.png")
    assert shown.size[0] == PARAMS.columns * (PARAMS.image_size + 16)
    assert np.asarray(shown)[8 : 8 + PARAMS.image_size, 8 : 8 + PARAMS.image_size].std() > 0
    manifest = json.loads((project / "data/generated_tokens/generator.json").read_text())
    manifest["inputs"]["grid"] = [2, 2]
    write_json(project / "data/generated_tokens/generator.json", manifest)
    with pytest.raises(ValueError, match="32 bytes of tokens, not those of 2 x 2"):
        stage.main()
