"""A stage stops when its hours are used up and keeps what is finished; a rerun ends with the same bytes."""

import pytest

from synthpairs.generation.diffusion.make import make_images
from synthpairs.runtime import time_budget
from synthpairs.runtime.settings import load_runtime
from synthpairs.runtime.time_budget import check_budget
from tests.generation.diffusion.conftest import captions, settings  # noqa: F401
from tests.generation.diffusion.test_make import contents


@pytest.mark.parametrize(
    ("hours", "elapsed", "done", "stops"),
    [(None, 1e12, 1, False), ("0.5", 1799, 1, False), ("0.5", 1801, 2, False), ("0.5", 1801, 1, True)],
)
def test_only_unfinished_work_is_stopped(monkeypatch, hours, elapsed, done, stops):
    monkeypatch.delenv("SYNTHPAIRS_BUDGET_HOURS", raising=False)
    if hours:
        monkeypatch.setenv("SYNTHPAIRS_BUDGET_HOURS", hours)
    monkeypatch.setattr(time_budget.time, "monotonic", lambda: time_budget._started + elapsed)
    limit = load_runtime().budget_hours
    if not stops:
        check_budget(limit, done, 2, "pictures")
        return
    message = r"SYNTHPAIRS_BUDGET_HOURS 0.5 is used up: 1 of 2 missing pictures .* run the command again"
    with pytest.raises(TimeoutError, match=message):
        check_budget(limit, done, 2, "pictures")


def test_every_rerun_gets_further_and_the_bytes_are_the_same(
    captions, settings, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    params = settings(batch_size=4)
    monkeypatch.setenv("SYNTHPAIRS_BUDGET_HOURS", "0")
    for done in (4, 4, 4):
        with pytest.raises(TimeoutError, match=rf"{done} of \d+ missing pictures"):
            make_images(captions, params, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / ".dvc/tmp/work/images").glob("*/*/*.tar"))) == 3
    _, volatile = make_images(captions, params, tmp_path / "out")  # the last batch, after which nothing is missing
    assert volatile == {"reused": 12}
    monkeypatch.delenv("SYNTHPAIRS_BUDGET_HOURS")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions, params, tmp_path / "reference")
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")
