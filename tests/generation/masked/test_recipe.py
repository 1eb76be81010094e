import json
from pathlib import Path

import numpy as np
import pytest

from synthpairs.core.schema import digest
from synthpairs.generation.batch import BatchGenerator
from synthpairs.generation.masked.make import token_spec
from synthpairs.generation.masked.params import RECIPE
from synthpairs.generation.masked.tokens import TOKENS, VECTORS
from tests.generation.masked.conftest import CHANNELS

RECORDED = json.loads((Path(__file__).parent / "recipes.json").read_text())
AGREE = 0.9  # of the tokens: machines differ in low bits, which decide between tokens of equal probability
TEXTS = ["a red dog", "two cats on blue", "a bell", "a plain white rose"]
CASES = {"plain": {}, "linear, without guidance": {"schedule": "linear", "guidance_scale": 1.0}}


def samples_of(params):
    batch = [{"key": digest("recipe", number), "text": text} for number, text in enumerate(TEXTS)]
    result = BatchGenerator(token_spec(params))(batch)
    assert result.failed == {}
    return [files for _, files in result.samples]


@pytest.mark.parametrize("case", CASES)
def test_tokens_change_only_with_the_recipes_version(settings, case):
    grids = [np.frombuffer(files["tokens"], TOKENS).tolist() for files in samples_of(settings(**CASES[case]))]
    print(json.dumps({str(RECIPE): {case: grids}}))
    assert np.mean(np.equal(grids, RECORDED[str(RECIPE)][case])) >= AGREE


def test_soft_vectors_change_only_with_the_recipes_version(settings):
    files = samples_of(settings(vectors="soft"))
    vectors = np.array([np.frombuffer(one["vectors"], VECTORS) for one in files], np.float64)
    means = vectors.reshape(len(TEXTS), CHANNELS, -1).mean(2).round(3).tolist()
    print(json.dumps(means))
    np.testing.assert_allclose(means, RECORDED[str(RECIPE)]["soft vectors"], atol=0.05)
