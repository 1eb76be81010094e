from copy import deepcopy

from synthpairs.report.sections.curves_and_speed import curves_section, speed_section, steps_to_baseline
from tests.report.conftest import CURVES, SPEED


def test_each_seed_has_its_own_step_or_never_gets_there():
    steps = steps_to_baseline(CURVES)
    assert (steps.mixed, steps.mixed_by_seed, steps.real, steps.last) == (100, (100, 200, 100), 300, 300)
    assert "step 100 of 300 (33%); by seed: 100, 200, 100; `real-tokens` itself: step 300" in steps.text()
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"][1], curves["reached"]["step"] = [0.1, 0.1, 0.1], None
    assert steps_to_baseline(curves).text().startswith("never; by seed: 100, never, 100;")


def test_curves_show_every_seed_and_their_mean():
    section = curves_section(CURVES)
    assert section.splitlines()[0].endswith("(experiments/learning_curves.png)")
    assert (
        "| `real-tokens` | 0.900 [0.800, 1.000] | 0.900 | 1.000 | 0.800 |\n"
        "| `genpair` | 1.167 [1.100, 1.200] | 1.100 | 1.200 | 1.200 |\n"
    ) in section


def test_speed_has_ratio_spread_bytes_memory_and_parts():
    section = speed_section(SPEED)
    assert [part for part in (
        "**2.00 times** as many steps of fine-tuning a second as training on pixels [1.9, 2.1]",
        "**3.00 times** as many steps of projector pretraining [2.9, 3.2]",
        "n = 5 runs",
        "two \\| cores",
        "| steps of fine-tuning a second | 4 [3.8, 4.2] | 2 [1.9, 2.1] |",
        "| steps of pretraining a second | 9 [8, 9.5] | 3 [2.5, 3.5] |",
        "| bytes of a sample | 128 | 12,288 |",
        "| peak memory, MiB | 700 | 900 |",
        "| resampler | 10.0% | - |",
    ) if part not in section] == []  # fmt: skip
