"""COCO and Flickr30k captioning by a tiny model that sees through a VQ tokenizer, on data sets laid out as the hub's."""

import io
import json
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthpairs.core.storage import shard_bytes, write_bytes
from synthpairs.evaluation.benchmarks.cider import cider_scores, tokens
from synthpairs.vlm.model import assemble, load, save
from tests.evaluation.benchmarks.conftest import directly
from tests.vlm.conftest import resampler  # noqa: F401

PROMPT = "Provide a one-sentence caption for the provided image."
SETS = {"coco_caption": "wds_mscoco_captions", "flickr30k_caption": "wds_flickr30k"}


def jpeg(seed):
    """A picture of noise, every third one grey."""
    noise = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise[..., 0] if seed % 3 == 2 else noise).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def folders(parts, resampler, tmp_path, monkeypatch):  # noqa: F811
    """An empty project with the models of an arm of VQ tokens, whose answers differ, and of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    model, processor = assemble(parts, replace(resampler, words=None))
    for name, weight in model.requires_grad_(False).named_parameters():
        if weight.ndim > 1 and "vision_tower" not in name:
            weight *= 15
    save(model, processor, Path("models/vlm/genpair/finetuned"))
    save(*assemble(parts), Path("models/vlm/untrained"))


@pytest.fixture
def expected(folders, tmp_path, monkeypatch):
    """Answers and references by task, after writing the data sets: two tars each, beside a split that is not read."""
    monkeypatch.setenv("SYNTHPAIRS_DATASETS", str(tmp_path / "sets"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    model, processor = load("models/vlm/genpair/finetuned")
    rows = {}
    for shift, (task, name) in enumerate(SETS.items()):
        pictures = [jpeg(10 * shift + number) for number in range(6)]
        answers = [directly(model, processor, PROMPT, picture, 64) for picture in pictures]
        references = [[f"{' '.join(tokens(answer)[:3])} dog.", f"A dog {n}"] for n, answer in enumerate(answers)]
        samples = [
            (f"s{number:07}", {"jpg": picture, "txt": "\n\n".join(captions).encode()})  # some of COCO's end with a line
            for number, (picture, captions) in enumerate(zip(pictures, references, strict=True))
        ]
        folder = tmp_path / "sets/clip-benchmark" / name
        write_bytes(folder / "test/0.tar", shard_bytes(samples[:3]))
        write_bytes(folder / "test/1.tar", shard_bytes(samples[3:]))
        write_bytes(folder / "test/nshards.txt", b"2")
        write_bytes(folder / "train/0.tar", b"broken")
        rows[task] = answers, references
    return rows


def test_arms_of_vq_tokens_are_asked_for_captions(expected, monkeypatch):
    """Numbers with intervals, CIDEr-D of the model's own answers; other arms are not asked."""
    from stages import benchmark

    Path("params.yaml").write_text("""\
benchmark: {tasks: {pictures: [], tokens: []}, batch_size: 4, resamples: 200, seed: 0}
external_benchmarks:
  {pictures: [pope], tokens: [coco_caption, flickr30k_caption], text: [], shots: 5, limit: null, include: null}
""")

    def run(arm):
        monkeypatch.setattr("sys.argv", ["benchmark", arm])
        benchmark.main()
        return json.loads(Path(f"reports/benchmarks/{arm}.json").read_text())

    numbers = run("genpair")
    rows = pd.read_parquet("reports/benchmarks/items/genpair.parquet").set_index("uid")
    for task, (answers, references) in expected.items():
        asked, scores = rows[rows["task"] == task], cider_scores(answers, references)
        assert asked["prediction"].to_dict() == {f"{task}/{number}": answer for number, answer in enumerate(answers)}
        assert asked["score"].tolist() == pytest.approx(scores)
        entry = numbers.pop(task)
        assert (entry["metric"], entry["n"], entry["version"]) == ("cider_d", 6, 1.0)
        assert entry["value"] == pytest.approx(sum(scores) / 6, abs=1e-6)
        assert 0 < entry["low"] < entry["value"] < entry["high"]
    assert numbers == {}
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("[pope]", "[]"))
    assert run("untrained") == {}
