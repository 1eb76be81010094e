"""Ratios have a spread, ways take turns, and the comparisons run in small; never how fast anything is."""

import sys

import pytest

from perf import selection, ssim
from perf.paired import seconds_in_turns, spread, told


def test_spread_is_a_median_in_its_interval():
    middle, low, high = spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert low <= middle == 3.0 <= high
    assert spread([2.0] * 5) == [2.0, 2.0, 2.0]
    assert told([1.2345, 1, 20]) == "1.23 [1, 20]"


def test_ways_take_turns_and_the_first_round_is_not_counted():
    turns = []
    taken = seconds_in_turns((lambda: turns.append("a"), lambda: turns.append("b")), 3)
    assert turns == ["a", "b"] * 4
    assert [len(seconds) for seconds in taken] == [3, 3]


def test_ssim_prints_a_line_for_each_variant(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["perf.ssim", "--side", "40", "--rounds", "2"])
    ssim.main()
    said = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()[:2]) for line in said[1:]] == [
        "uniform7 gray:", "uniform7 rgb:", "gaussian11 gray:", "gaussian11 rgb:",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["perf.ssim", "--rounds", "0"])
    with pytest.raises(ValueError, match="--rounds must be at least 1, got 0"):
        ssim.main()


def test_selection_prints_every_step(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["perf.selection", "--rows", "300"])
    selection.main()
    names = [line.split(":")[0] for line in capfd.readouterr().out.splitlines()]
    assert names == ["300 candidates", "read", "join", "rank", "arm selected", "arm random", "all", "peak memory"]
    monkeypatch.setattr(sys, "argv", ["perf.selection", "--rows", "1"])
    with pytest.raises(ValueError, match="--rows must be at least 2, got 1"):
        selection.main()
