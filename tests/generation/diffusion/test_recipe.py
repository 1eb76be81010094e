"""RECIPE: the version of the mapping from key, caption and settings to a picture.

When an intended change of pictures fails this test, raise RECIPE in synthpairs/generation/diffusion/params.py and put the printed
values into recipes.json under the new version. All keys then change, and all pictures are generated again.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthpairs.core.schema import digest
from synthpairs.generation.batch import BatchGenerator
from synthpairs.generation.diffusion.make import PACKET, image_spec
from synthpairs.generation.diffusion.params import RECIPE

RECORDED = json.loads((Path(__file__).parent / "recipes.json").read_text())
TOLERANCE = 0.5  # of 255 levels, for a mean over 64 pixels: machines differ in low bits, which move single pixels by 1
LONG = "three snails and a rose on a plain blue background, " * 3  # beyond CLIP's limit
TEXTS = ["a red dog", LONG]
CASES = {
    "plain": {},
    "negative prompt, scheduler that draws noise": {
        "negative_prompt": "blurred",
        "scheduler": "EulerAncestralDiscreteScheduler",
    },
    "long prompts": {"long_prompts": "chunk"},
}


@pytest.mark.parametrize("case", CASES)
def test_pictures_change_only_with_the_recipes_version(settings, case):
    batch = [{"key": digest("recipe", number), "text": text} for number, text in enumerate(TEXTS)]
    result = BatchGenerator(image_spec(settings(**CASES[case])))(batch)
    assert result.failed == {}
    pictures = [np.asarray(Image.open(io.BytesIO(files["png"])), np.float64) for _, files in result.samples]
    means = [picture.reshape(4, 8, 4, 8, 3).mean((1, 3)).round(1).ravel().tolist() for picture in pictures]
    print(json.dumps({str(RECIPE): {case: means}}))
    np.testing.assert_allclose(means, RECORDED[str(RECIPE)][case], atol=TOLERANCE)


def test_the_mark_in_the_files_changes_only_with_the_recipes_version():
    assert digest(PACKET) == RECORDED[str(RECIPE)]["mark"]
