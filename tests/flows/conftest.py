"""One run of the whole pipeline with the smallest params, which all flows share; it takes minutes."""

import pytest

from tests.flows import project
from tests.pipeline import read_stages


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    return project.make_smoke(tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="session")
def stages(smoke, tmp_path_factory):
    """The stages of the main pipeline with the arms of the smoke preset."""
    stages = read_stages(smoke.project.path, tmp_path_factory.mktemp("site"))
    return [stage for stage in stages if ":" not in stage.address]
