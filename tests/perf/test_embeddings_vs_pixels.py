"""Both routes train on the same samples, every part of a step is timed, and the report has its keys."""

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perf import embeddings_vs_pixels, steps
from perf.embeddings_vs_pixels import AMUSED, compared, main
from perf.samples import enlarged, generated, read, write
from perf.steps import ROUTES, Setup, Steps
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.report.experiments.speed import speed_page
from synthpairs.vlm.params import Training
from tests.generation.masked.conftest import CODES, GRID, TEXTS, captions_of, settings, tiny_masked  # noqa: F401
from tests.vlm.conftest import parts, resampler, training, tuning  # noqa: F401

CELLS = GRID[0] * GRID[1]


@pytest.fixture
def samples(settings):  # noqa: F811
    return generated(MaskedGenerator(settings()), TEXTS)[0]


@pytest.fixture
def setup(parts, resampler, training, tiny_masked):  # noqa: F811
    """Makes a Setup of the tiny models; the vision tower is the tiny generator's tokenizer."""
    resampler = dataclasses.replace(resampler, tokenizer=str(tiny_masked))
    return lambda kind: Setup(kind, parts, resampler, Training(**training))


def test_a_sample_is_stored_as_tokens_and_as_an_image(samples, settings, tmp_path):  # noqa: F811
    write(samples, tmp_path / "samples.tar")
    assert read(tmp_path / "samples.tar") == samples
    assert [sample.text for sample in samples] == TEXTS
    assert {len(sample.tokens) for sample in samples} == {2 * CELLS}
    again, seconds = generated(MaskedGenerator(settings()), TEXTS)
    assert again == samples
    assert np.shape(seconds) == (2, 2)
    assert np.min(seconds) > 0
    for sample in enlarged(samples, 32, 9, 8192):
        assert len(sample.tokens) == 18
        assert Image.open(io.BytesIO(sample.png)).size == (32, 32)


@pytest.mark.parametrize(("kind", "own"), [("finetune", "language model forward"), ("pretrain", "resampler forward")])
def test_every_part_of_a_step_is_timed(setup, samples, kind, own):
    both = Steps(setup(kind), samples)
    for route in ROUTES:
        assert both.run(route, 2) > 0
        assert set(both.clocks[route].spent) - {"resampler"} == {"data", "vision_tower", own, "backward", "optimiser"}
        assert all(seconds > 0 for seconds in both.clocks[route].spent.values())
        assert sum(both.clocks[route].shares().values()) == pytest.approx(1, abs=1e-3)


def test_the_routes_train_on_the_same_texts(setup, samples, monkeypatch):
    both = Steps(setup("finetune"), samples)
    inputs = []
    loss = {"loss": torch.zeros((), requires_grad=True)}
    monkeypatch.setattr(both, "_learner", lambda **batch: inputs.append(batch) or loss)
    for route in ROUTES:
        both.run(route, 1)
    tokens, pixels = inputs
    assert torch.equal(tokens["input_ids"], pixels["input_ids"])
    assert torch.equal(tokens["labels"], pixels["labels"])
    assert tokens["pixel_values"].shape[2:] == GRID
    assert pixels["pixel_values"].shape[1:] == (3, 64, 64)


def test_blocks_alternate(setup, samples, monkeypatch):
    turns = []
    speeds = {"embeddings": 2.0, "pixels": 1.0}
    monkeypatch.setattr(Steps, "run", lambda self, route, steps: turns.append((route, steps)) or speeds[route])
    monkeypatch.setattr("perf.steps.Clock.shares", lambda self: {})
    results = compared(setup("pretrain"), samples, 3, 5)
    assert turns == [("embeddings", 5), ("pixels", 5)] * 4  # the first pair is not counted
    assert results["steps_per_s"] == {"embeddings": [2.0] * 3, "pixels": [1.0] * 3}
    assert results["ratio"] == [2.0] * 3


@pytest.fixture
def project(parts, resampler, training, tuning, settings, tiny_masked, tmp_path, monkeypatch):  # noqa: F811
    """A directory with params.yaml and captions; memory is not measured, which would take processes of its own."""
    monkeypatch.chdir(tmp_path)
    finetune = tuning(projector_learning_rate=0.01)
    sections = {
        "vlm": parts, "resampler": dataclasses.replace(resampler, tokenizer=str(tiny_masked)), "generate_tokens": settings(),
        "finetune_tokens": finetune, "pretrain_tokens": Training(**training),
    }  # fmt: skip
    Path("params.yaml").write_text(json.dumps({name: dataclasses.asdict(part) for name, part in sections.items()}))
    Path("data/filtered_captions").mkdir(parents=True)
    captions_of(TEXTS).to_parquet("data/filtered_captions/kept.parquet")
    monkeypatch.setattr(embeddings_vs_pixels, "peak_memory", lambda route, shard, tokenizer: 12.34)
    return tmp_path


def test_the_report_has_its_keys(project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["perf", "--runs", "2"])
    main()
    report = json.loads(Path("reports/experiments/speed.json").read_text())
    assert Path("reports/experiments/speed.md").read_text() == speed_page(report)
    assert report["pretrain"].keys() == {"ratio", "steps_per_s"}
    assert report["n_runs"] == 2
    assert report["bytes_per_sample"]["embeddings"] == 2 * CELLS < report["bytes_per_sample"]["pixels"]
    assert report["peak_memory_mib"] == {"embeddings": 12.3, "pixels": 12.3}
    for part in (report, report["pretrain"]):
        for middle, low, high in (part["ratio"], *part["steps_per_s"].values()):
            assert 0 < low <= middle <= high
    assert "pretraining: embeddings" in capsys.readouterr().out


def test_another_preset_does_not_write_the_report(project, monkeypatch):
    small = {
        "block_out_channels": [8] * 3, "norm_num_groups": 4, "latent_channels": 4, "num_vq_embeddings": 32, "sample_size": 16,
        "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3,
    }  # fmt: skip
    monkeypatch.setattr(embeddings_vs_pixels, "AMUSED", AMUSED | small)
    for name, value in (("AMUSED_SIDE", 16), ("AMUSED_CELLS", 16), ("AMUSED_CODES", 32)):
        monkeypatch.setattr(embeddings_vs_pixels, name, value)
    monkeypatch.setattr(sys, "argv", ["perf", "--preset", "amused", "--runs", "1", "--out", "larger.json"])
    main()
    assert json.loads(Path("larger.json").read_text())["bytes_per_sample"]["embeddings"] == 32
    assert not Path("reports").exists()


def test_a_missing_generator_is_an_error(project, monkeypatch):
    params = json.loads(Path("params.yaml").read_text())
    params["generate_tokens"]["generator"] = "models/desk/masked"
    Path("params.yaml").write_text(json.dumps(params))
    monkeypatch.setattr(sys, "argv", ["perf"])
    with pytest.raises(
        FileNotFoundError, match=r"generate_tokens\.generator: 'models/desk/masked' is neither a directory"
    ):
        main()


def test_memory_is_measured_in_a_process_of_its_own(project, samples, tiny_masked, monkeypatch):  # noqa: F811
    monkeypatch.setenv("PYTHONPATH", str(Path(steps.__file__).parents[1]))
    write(samples, Path("samples.tar"))
    assert steps.peak_memory("embeddings", Path("samples.tar"), str(tiny_masked)) > 50
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(ValueError, match=r"perf\.steps pixels .* ended with exit code 1: no output"):
        steps.peak_memory("pixels", Path("samples.tar"), str(tiny_masked))
