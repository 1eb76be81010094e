"""Every rate has bounds and a source, and both tables know the same work."""

from synthpairs.planning.rates import DESK, GPU, GPUS


def test_every_rate_has_bounds_and_a_source() -> None:
    for rate in [*DESK.values(), *GPU.values()]:
        assert rate.seconds > 0
        assert 0 < rate.low < 1 < rate.high, rate
        assert min(len(rate.unit), len(rate.source), len(rate.device)) > 5, rate
    assert all(gpu.low <= gpu.speed <= gpu.high and gpu.source for gpu in GPUS.values())


def test_both_tables_know_the_same_work() -> None:
    assert DESK.keys() == GPU.keys()
    assert {name for name in DESK if DESK[name].one_process} == {name for name in GPU if GPU[name].one_process}
