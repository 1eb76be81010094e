import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.experiments.speed import speed_page
from synthpairs.report.sections.claims import HOLDS, OPPOSITE

SPEED = {
    "n_runs": 5, "machine": "two | cores", "ratio": [2.0, 1.9, 2.1],
    "steps_per_s": {"embeddings": [4.0, 3.8, 4.2], "pixels": [2.0, 1.9, 2.1]},
    "bytes_per_sample": {"embeddings": 128, "pixels": 12288}, "peak_memory_mib": {"embeddings": 700.4, "pixels": 900.0},
    "where": {"embeddings": {"language model": 0.9, "resampler": 0.1}, "pixels": {"language model": 0.5, "vision_tower": 0.5}},
    "pretrain": {"steps_per_s": {"embeddings": [9.0, 8.0, 9.5], "pixels": [3.0, 2.5, 3.5]}, "ratio": [3.0, 2.9, 3.2]},
}  # fmt: skip


def test_speed_has_ratio_spread_bytes_memory_and_parts():
    page = speed_page(SPEED)
    assert [part for part in (
        "Steps a second on embeddings are **2.00 times** those on pixels in fine-tuning [1.9, 2.1]",
        "**3.00 times** in projector pretraining [2.9, 3.2]",
        "n = 5 runs",
        "two \\| cores",
        "| steps of fine-tuning a second | 4 [3.8, 4.2] | 2 [1.9, 2.1] |",
        "| steps of pretraining a second | 9 [8, 9.5] | 3 [2.5, 3.5] |",
        "| bytes of a sample | 128 | 12,288 |",
        "| peak memory, MiB | 700 | 900 |",
        "| resampler | 10.0% | - |",
    ) if part not in page] == []  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        ([1.3, 1.2, 1.4], HOLDS),
        ([1.1, 1.05, 1.2], "less than 1.25 times"),
        ([1.0, 0.9, 1.1], NO_DIFFERENCE),
        ([0.8, 0.7, 0.9], OPPOSITE),
    ],
)
def test_speed_is_judged_by_its_interval(ratio, verdict):
    page = speed_page(SPEED | {"ratio": ratio})
    assert "**Faster training than on pixels: " in page
    assert f" in projector pretraining, {verdict} in fine-tuning.**" in page
