"""Medians have intervals, functions take turns, and the programs run on small inputs; speed itself is not tested."""

import re
import sys

import pytest

from perf import duplicates, images, scores, selection, ssim
from perf.paired import ratio, seconds_in_turns, spread, with_interval


def test_spread_is_a_median_within_its_interval():
    middle, low, high = spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert low <= middle == 3.0 <= high
    assert spread([2.0] * 5) == [2.0, 2.0, 2.0]
    assert with_interval([1.2345, 1, 20]) == "1.23 [1, 20]"
    assert ratio([2.0, 6.0], [1.0, 3.0]) == [2.0, 2.0, 2.0]


def test_functions_take_turns_and_the_first_round_is_not_counted():
    turns = []
    seconds = seconds_in_turns((lambda: turns.append("a"), lambda: turns.append("b")), 3)
    assert turns == ["a", "b"] * 4
    assert [len(measured) for measured in seconds] == [3, 3]


@pytest.mark.parametrize(
    ("program", "options", "starts", "wrong", "message"),
    [
        (ssim, ["--side", "40", "--rounds", "2"], ["40 x 40 pixels", "uniform7 gray", "uniform7 rgb", "gaussian11 gray",
         "gaussian11 rgb"], ["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (selection, ["--rows", "300"], ["300 candidates", "read", "join", "rank", "arm selected", "arm random", "all",
         "peak memory"], ["--rows", "1"], "--rows must be at least 2, got 1"),
        (duplicates, ["--rows", "100"], ["groups of 100 hashes", "10 groups of near duplicates; 10 copies",
         "nearest of 1,000 others", "peak memory"], ["--rows", "1"], "--rows must be at least 10, got 1"),
        (scores, ["--images", "2", "--rounds", "1"], ["one by one", "without SSIM", "ours"], ["--images", "0"],
         "--images must be at least 1, got 0"),
        (images, ["--rounds", "1"], ["a bare loop", "ours"], ["--rounds", "0"], "--rounds must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_a_program_prints_a_line_per_step(monkeypatch, capfd, program, options, starts, wrong, message):
    monkeypatch.setattr(sys, "argv", ["perf", *options])
    program.main()
    assert [re.split("[:,] ", line)[0] for line in capfd.readouterr().out.splitlines()] == starts
    monkeypatch.setattr(sys, "argv", ["perf", *wrong])
    with pytest.raises(ValueError, match=message):
        program.main()
