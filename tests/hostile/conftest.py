"""Randomness of the fuzzers: every test has its own, fixed by the option `--seed`."""

import random

import pytest


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=0, help="of the fuzzers; other seeds try other inputs")


@pytest.fixture
def chance(request):
    return random.Random(f"{request.node.name} {request.config.getoption('--seed')}")
