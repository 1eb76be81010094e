"""Measuring the models: each part alone, and the others' entries stay."""

import io
import json
from pathlib import Path

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler
from PIL import Image
from ruamel.yaml import YAML

from desk_models import measure, referee
from desk_models.tokenizer import evaluate
from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.emoji.pool import SIDE, compose
from synthpairs.models.vq_tokenizer import load_tokenizer
from tests.captions.conftest import CONCEPTS, drawings  # noqa: F401
from tests.desk_models.test_masked import CODES, parts  # noqa: F401

EMBED = YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")["embed"] | {"steps": 2, "batch": 6}
KINDS = {"single": 0.5, "pair": 0.25, "several": 0.25}


@pytest.fixture
def project(
    parts, drawings, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    """A directory with a tiny masked generator and nothing else trained; measures it and returns what was written."""
    vq, words, text, model = parts
    vq.register_to_config(pixel_range=[-1, 1])
    scheduler = AmusedScheduler(mask_token_id=CODES)
    AmusedPipeline(vq, words, text, model, scheduler).save_pretrained(tmp_path / measure.MASKED)
    write_table(tmp_path / "data/art/drawings.parquet", drawings, DRAWINGS)
    (tmp_path / "desk_models").mkdir(exist_ok=True)
    pairs = {"seed": 0, "scenes": 30, "kinds": KINDS, "used": 1, "tokenizer": "models/desk/masked"}
    judging = {"input": 32, "views": 2, "samples": 2, "steps": 1, "guidance": 1.0}
    for path, values in {
        "params.yaml": {"world": {"concepts": CONCEPTS}, "pairs": pairs, "embed": EMBED},
        "desk_models/params.yaml": {"seed": 0, "referee": judging},
    }.items():
        with (tmp_path / path).open("w") as file:
            YAML(typ="safe").dump(values, file)
    (tmp_path / measure.METRICS).write_text('{"clip": 1, "masked": {"old": 2}}')
    features = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    monkeypatch.setattr(referee, "imagenet_features", lambda: features)
    monkeypatch.setattr(measure, "REBUILT", 20)
    monkeypatch.chdir(tmp_path)

    def run():
        measure.main(["masked"])
        return {path.name: path.read_bytes() for path in (measure.METRICS, measure.GRIDS["masked"])}

    return run


def test_one_part_is_measured_without_the_others_and_their_entries_stay(
    project, drawings  # noqa: F811
):  # fmt: skip
    written = project()
    metrics = json.loads(written["metrics.json"])
    assert set(metrics) == {"clip", "masked", "referee_on_real"}
    assert metrics["clip"] == 1
    masked = metrics["masked"]
    assert set(masked) == {"n", "top_1", "top_5", "psnr_db", "codes_used"}
    assert (masked["n"], metrics["referee_on_real"]["n"]) == (2 * len(CONCEPTS), len(CONCEPTS))
    assert 0 <= masked["top_1"] <= masked["top_5"] <= 1
    pool = compose(list(drawings[drawings["split"] == "train"].to_dict("records")), 0, 30, KINDS)
    assert evaluate(load_tokenizer(measure.MASKED, "it"), pool, 20).items() <= masked.items()
    assert Image.open(io.BytesIO(written["masked_samples.png"])).size == (16 * SIDE, 2 * SIDE)
    assert project() == written


def test_a_part_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no part 'mask'; parts are clip, second_clip, generator, masked"):
        measure.main(["mask"])
