import json
from pathlib import Path

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler
from PIL import Image
from ruamel.yaml import YAML

from desk_models import measure, referee
from desk_models.tokenizer import evaluate
from synthpairs.core.storage import write_json
from synthpairs.emoji.pool import SIDE, compose
from synthpairs.models.vq_tokenizer import load_tokenizer
from tests.captions.conftest import CONCEPTS
from tests.desk_models.conftest import CODES

EMBED = YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")["generate_tokens"] | {
    "num_inference_steps": 2,
    "batch_size": 6,
}
KINDS = {"single": 0.5, "pair": 0.25, "several": 0.25}


def test_one_part_is_evaluated_alone_and_the_others_entries_stay(masked_parts, project, drawings, monkeypatch):
    vq, words, text, model = masked_parts
    vq.register_to_config(pixel_range=[-1, 1])
    AmusedPipeline(vq, words, text, model, AmusedScheduler(mask_token_id=CODES)).save_pretrained(measure.MASKED)
    settings = {"input": 32, "views": 2, "samples": 2, "steps": 1, "guidance": 1.0}
    project({"referee": settings}, {"kinds": KINDS}, generate_tokens=EMBED)
    write_json(measure.METRICS, {"clip": 1, "masked": {"old": 2}})
    features = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    monkeypatch.setattr(referee, "imagenet_features", lambda: features)
    monkeypatch.setattr(measure, "RECONSTRUCTED", 20)

    def written():
        measure.main(["masked"])
        return measure.METRICS.read_bytes(), measure.GRIDS["masked"].read_bytes()

    first = written()
    metrics = json.loads(first[0])
    assert set(metrics) == {"clip", "masked", "referee_on_real"}
    assert metrics["clip"] == 1
    masked = metrics["masked"]
    assert set(masked) == {"n", "top_1", "top_5", "psnr_db", "codes_used"}
    assert (masked["n"], metrics["referee_on_real"]["n"]) == (2 * len(CONCEPTS), len(CONCEPTS))
    assert 0 <= masked["top_1"] <= masked["top_5"] <= 1
    pool = compose(list(drawings[drawings["split"] == "train"].to_dict("records")), 0, 30, KINDS)
    assert evaluate(load_tokenizer(measure.MASKED, "it"), pool, 20).items() <= masked.items()
    assert Image.open(measure.GRIDS["masked"]).size == (16 * SIDE, 2 * SIDE)
    assert written() == first


def test_an_unknown_part_is_an_error():
    with pytest.raises(ValueError, match="no part 'mask'; parts are clip, second_clip, generator, masked"):
        measure.main(["mask"])
