"""A stage stops when its hours are used up, keeps what it has, and a rerun goes on to the same bytes."""

import pytest

from synthpairs.generation.diffusion.make import make_images
from synthpairs.runtime import time_budget as budget
from synthpairs.runtime.time_budget import HOURS, Budget
from tests.generation.diffusion.conftest import captions, settings  # noqa: F401
from tests.generation.diffusion.test_make import contents


def test_without_a_budget_nothing_ends(monkeypatch):
    monkeypatch.delenv(HOURS, raising=False)
    monkeypatch.setattr(budget, "_started", -1e12)
    Budget.from_environment().check(1, 2, "pictures")


def test_a_budget_ends_what_is_not_done(monkeypatch):
    monkeypatch.setenv(HOURS, "0.5")
    monkeypatch.setattr(budget.time, "monotonic", lambda: budget._started + 1799)
    Budget.from_environment().check(1, 2, "pictures")
    monkeypatch.setattr(budget.time, "monotonic", lambda: budget._started + 1801)
    Budget.from_environment().check(2, 2, "pictures")
    with pytest.raises(
        TimeoutError, match=r"SYNTHPAIRS_BUDGET_HOURS=0.5 is used up: 1 of 2 pictures .* run the command again"
    ):
        Budget.from_environment().check(1, 2, "pictures")


@pytest.mark.parametrize("told", ["0", "-1", "two", "nan", ""])
def test_a_budget_that_is_none_is_an_error(monkeypatch, told):
    monkeypatch.setenv(HOURS, told)
    with pytest.raises(ValueError, match=f"SYNTHPAIRS_BUDGET_HOURS must be a number of hours above 0, got {told!r}"):
        Budget.from_environment()


def test_every_rerun_gets_further_and_the_bytes_are_the_same(
    captions, settings, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    params = settings(batch=4)
    monkeypatch.setenv(HOURS, "1e-9")
    for done in (4, 4, 4):
        with pytest.raises(TimeoutError, match=rf"{done} of \d+ pictures"):
            make_images(captions, params, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / ".dvc/tmp/work/images").glob("*/*/*.tar"))) == 3
    _, volatile = make_images(captions, params, tmp_path / "out")  # one batch is left, and nothing after it
    assert volatile == {"reused": 12}
    monkeypatch.delenv(HOURS)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions, params, tmp_path / "reference")
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")
