from copy import deepcopy

from synthpairs.report.sections.evidence import curves_section, reached, speed_section
from tests.report.conftest import CURVES, SPEED


def test_each_seed_has_its_own_step():
    found = reached(CURVES)
    assert (found.step, found.by_seed, found.own, found.last) == (100, (100, 200, 100), 300, 300)
    assert "at step 100 of 300 (33%); by seed: 100, 200, 100; `real-codes` itself is there at step 300" in found.told()


def test_a_level_that_is_not_reached_is_never():
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"][1] = [0.1, 0.1, 0.1]
    curves["reached"]["step"] = None
    assert reached(curves).told().startswith("never; by seed: 100, never, 100;")


def test_curves_show_every_seed_and_their_mean():
    lines = curves_section(CURVES).splitlines()
    assert lines[0].endswith("(experiments/learning_curves.png)")
    assert "| `real-codes` | 0.900 [0.800, 1.000] | 0.900 | 1.000 | 0.800 |" in lines
    assert lines.index("| `real-codes` | 0.900 [0.800, 1.000] | 0.900 | 1.000 | 0.800 |") + 1 == lines.index(
        "| `genpair` | 1.167 [1.100, 1.200] | 1.100 | 1.200 | 1.200 |"
    )


def test_speed_has_ratio_spread_bytes_memory_and_parts():
    section = speed_section(SPEED)
    assert "**2.00 times** as many steps of fine-tuning a second as training through pixels [1.9, 2.1]" in section
    assert "**3.00 times** as many steps of alignment [2.9, 3.2]" in section
    assert "n = 5 runs" in section
    assert "two \\| cores" in section
    assert "| steps of fine-tuning a second | 4 [3.8, 4.2] | 2 [1.9, 2.1] |" in section
    assert "| steps of alignment a second | 9 [8, 9.5] | 3 [2.5, 3.5] |" in section
    assert "| bytes of a sample | 128 | 12,288 |" in section
    assert "| peak memory, MiB | 700 | 900 |" in section
    assert "| resampler | 10.0% | - |" in section
