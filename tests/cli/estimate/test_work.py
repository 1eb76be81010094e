"""Work by params.yaml: every switch adds the items, seconds and bytes that a calculation by hand gives."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.__main__ import main
from synthpairs.cli.estimate.estimate import Machine, estimate, total
from synthpairs.cli.estimate.work import MIX_665K, read_run
from synthpairs.core.config import read_mapping
from tests.cli.estimate.conftest import ROOT

PAPER = {
    "images.image_size": 1024, "images.num_inference_steps": 60, "images.guidance_scale": 20.0,
    "vlm.llm": "lmsys/vicuna-7b-v1.5@abc",
    "captions.llm": "lmsys/vicuna-7b-v1.5@abc", "pretrain.max_steps": None,
    "perplexity.models": ["a"], "perplexity.tokens": 16,
}  # fmt: skip
DRAFT = {"num_inference_steps": 4, "keep": 1, "cosine_min": None, "clip": "x", "pretrained": None}
SERVER = {"model": "meta-llama/Meta-Llama-3-70B-Instruct", "extra": {}}
SERVED = {"engine": "server", "server": SERVER, "max_failed_share": 0.01}
LORA = {"rank": 128, "alpha": 256, "dropout": 0.0, "quantize": None}
SOURCE = {
    "name": "pool", "path": "x.json", "format": "llava", "images": "x", "limit": 1000, "licence": None,
    "columns": {"text": None, "image": "image", "source": None},
}  # fmt: skip
SEEN = 168 + 264 + 216  # questions of the desk's tasks that arms of VQ tokens are asked
NO_IMAGE = {"text": None, "image": None, "source": None}


def rows(captions=None):
    return {(row.stage, row.part): row for row in read_run(captions).work}


def seconds():
    return total(estimate(read_run(None), Machine(gpu="A100"))).seconds


def test_without_arms_nothing_is_noted_of_their_training(change):
    change({"finetune.instructions": {"path": "no.json", "images": None}, "arms": []})
    assert not [note for note in read_run(5).notes if note.startswith("finetune")]
    assert not [stage for stage, _ in rows() if stage in ("pretrain", "finetune")]


def test_the_desks_params(change):
    run = read_run(None)
    assert (run.captions, run.images, run.steps, run.side, run.llm_parameters) == (1040, 1040, 8, 64, 135e6)
    assert run.items == {"desk_pope": 264, "desk_sqa": 160, "desk_text": 96, "desk_vqa": 216}
    assert len(run.notes) == 2  # of the captions and the trained layers
    Path("data/captions").mkdir(parents=True)
    pd.DataFrame({"uid": range(741)}).to_parquet("data/captions/kept.parquet")
    assert (read_run(None).captions, read_run(5).captions) == (741, 5)
    trained = "finetune.trainable_layers: counted as a training of all layers"
    assert read_run(5).notes == [trained]
    counted, last = read_run(None).notes
    assert "as many as data/captions/kept.parquet has, of the last run, whatever its params" in counted
    assert last == trained
    shutil.rmtree("data")
    work = rows()
    assert work["captions", "generation"].count == 320
    assert work["captions", "original images"].count == 720
    assert work["contamination", "hashes"].count == 1040 + 200  # as many real images as selected ones
    assert work["finetune", ""].count == 3 * 128
    assert work["benchmark", "desk tasks"].count == 904 * 2 * 4 + SEEN * 2 * 3
    assert work["class_captions", ""].count == 64 * 4
    assert work["encode_real_pairs", ""].count == 36_000
    assert work["generate_tokens", ""].count == 64 * 4 * 2
    assert work["pretrain_tokens", ""].count == 3 * 24_000
    assert work["finetune_tokens", ""].count == 3 * 1.5 * 128
    assert work["all stages", "process starts"].count == 5 + 3 + 3 + 4
    assert ("pretrain", "") not in work  # max_steps: 0


@pytest.mark.parametrize(
    ("switch", "more"),
    [
        # 1,040 captions, of which 720 have an image
        ({"captions.blip": {"model": "x", "min": 0.8, "max": 1.0}}, 720 * 0.018),
        ({"captions.perplexity.engine": "kenlm"}, 1040 * (5e-5 - 0.0037)),
        ({"captions.judge": SERVED}, 1040 * 0.022 * 9),  # ten times the parameters
        ({"captions.judge": SERVED | {"engine": "none"}}, -1040 * 0.022),
        # 1,040 images in 60 steps of 0.0985 s, 0.374 s besides them
        ({"images.refiner": {"model": "x", "base_share": 0.8}}, 1040 * 60 * 0.0985 * 0.2 * 0.08),
        ({"images.draft": DRAFT}, 1040 * (4 * 0.0985 + 0.374 + 0.02)),
        ({"images.limit": 1000}, -40 * (60 * 0.0985 + 0.374 + 0.0053 + 9.6e-6 + 0.0062 + 0.006)),
        ({"images.guidance_scale": 1.0}, -1040 * 30 * 0.0985),
        ({"images.image_size": 512}, -0.75 * (1040 * (60 * 0.0985 + 0.374 + 0.0053) + 1240 * 0.0122)),
        # 1,040 images and 200 real ones
        ({"contamination.text": True}, 1240 * 0.6),
        ({"contamination.nsfw": {"model": "x", "label": "nsfw", "min": 0.5, "batch_size": 32}}, 1240 * 0.006),
        ({"contamination.cosine_min": None}, -1240 * 0.006),
        # four models, each task in a process of its own; three more read text; a question of MMLU comes after 5 others
        ({"external_benchmarks.pictures": ["pope"]}, 4 * (9000 * 0.25 + 6)),
        ({"external_benchmarks.pictures": ["pope"], "external_benchmarks.limit": 10}, 4 * (10 * 0.25 + 6)),
        ({"external_benchmarks.tokens": ["coco_caption", "flickr30k_caption"]}, 3 * 6000 * 0.25),
        ({"external_benchmarks.text": ["mmlu"]}, 7 * 14_042 * 115 * 6 * 1.5e-4),
        (
            {"external_benchmarks.text": ["mmlu"], "external_benchmarks.limit": 10, "external_benchmarks.shots": 0},
            7 * 57 * 10 * 115 * 1.5e-4,
        ),
        ({"perplexity.models": ["a", "b"], "perplexity.tokens": 10_000}, (20_000 - 16) * 1.5e-4),
        # three arms, 200 pairs and 128 conversations
        ({"finetune.instructions": {"path": "no.json", "images": None}}, 3 * (MIX_665K - 128) * 0.433),
        ({"pretrain.max_steps": 10}, 3 * (10 * 4 - 200) * 0.181),
        ({"pretrain.epochs": 2}, 3 * 200 * 0.181),
        ({"generate_tokens.guidance_scale": 0.0}, -64 * 4 * 2 * 4 * 0.0071),
        ({"class_captions.banks": ["world", "imagenet"]}, 200 * 4 * (2 * 8 * 0.0071 + 0.013)),
        ({"class_captions.engine": "server", "class_captions.server.model": "a-70b"}, 64 * 4 * 0.013 * 9),
        # a pair of any size counts as one of 256 pixels; three arms
        ({"encode_real_pairs.scenes": 46_000}, 10_000 * 0.022),
        ({"encode_real_pairs.source": "captions"}, (720 - 36_000) * 0.022),
        ({"mixing.draws": 34_000}, 3 * 10_000 * 0.036),
        ({"finetune_tokens.epochs": 2.5}, 3 * 128 * 0.19),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_each_switch_adds_what_a_calculation_by_hand_gives(change, switch, more):
    change(PAPER)
    before = seconds()
    change(switch)
    assert seconds() - before == pytest.approx(more, rel=1e-6)


def test_bytes_on_disk(change):
    change(PAPER)
    assert rows()["images", ""].disk == pytest.approx(1040 * 1024**2 * 1.6 * 3)
    change({"images.format": "jpg", "images.quality": 95})
    assert rows()["images", ""].disk == pytest.approx(1040 * 1024**2 * 0.37 * 3)
    assert rows()["captions", "original images"].disk == pytest.approx(720 * 64**2 * 4 / 3 * 0.37 * 2)
    assert rows()["finetune", ""].disk == 7e9 * (3 * 4 + 24)
    change({"finetune.lora": LORA})
    assert rows()["finetune", ""].disk == pytest.approx(7e9 * (3 * 4 + 24 * 128 * 3.7e-4))
    assert any("full training" in note for note in read_run(None).notes)


def test_bytes_of_memory(change, monkeypatch):
    """Of 7 billion weights and SDXL's, by hand: 1 GiB for CUDA, 34 bytes for a token, layer and unit of width."""
    for name in ("FSDP", "RECOMPUTE"):
        monkeypatch.delenv(f"SYNTHPAIRS_{name}", raising=False)
    change(PAPER | {"images.dtype": "float16", "images.batch_size": 8})
    for section in ("pretrain", "finetune"):
        change({f"{section}.micro_batch_size": 1, f"{section}.max_length": 2048})
    layers = (7e9 / 12 / 128**2) ** (1 / 3)
    assert layers == pytest.approx(33, abs=0.2)  # Llama 7B has 32, and 4,096 wide

    def needs(stage):
        row = rows()[stage, ""]
        return row.memory, row.gpu_memory, row.gpu_divided

    def on_gpu(tokens, kept):
        return 2**30 + 0.6e9 + tokens * 128 * layers * kept

    assert needs("images") == pytest.approx((2**32 + 6.94e9, 2**30 + 6.94e9 + 8 * 3.7e9, 0))
    change({"images.refiner": {"model": "x", "base_share": 0.8}, "images.vae": "x"})
    assert needs("images") == pytest.approx((2**32 + 11.46e9, 2**30 + 11.46e9 + 8 * 2e9, 0))
    assert needs("select") == (1040 * 1024, 0, 0)
    assert needs("pretrain") == pytest.approx((2**32 + 14e9, 14e9 + on_gpu(640, 34 * layers), 0))
    assert needs("finetune") == pytest.approx((2**32 + 28e9, 7e9 * 18 + on_gpu(2048, 34 * layers), 0))
    monkeypatch.setenv("SYNTHPAIRS_RECOMPUTE", "on")
    monkeypatch.setenv("SYNTHPAIRS_FSDP", "on")
    assert needs("finetune") == pytest.approx((2**32 + 28e9, on_gpu(2048, 34 + 2 * layers), 7e9 * 16))
    monkeypatch.setenv("SYNTHPAIRS_FSDP", "off")
    adapters = 7e9 * 128 * 3.7e-4
    for quantize, stored in ((None, 2), ("nf4", 4.127 / 8)):
        change({"finetune.lora": LORA | {"quantize": quantize}})
        expected = 7e9 * stored + 16 * adapters + on_gpu(2048, 34 + 2 * layers)
        assert needs("finetune") == pytest.approx((2**32 + 14e9 + 2 * adapters, expected, 0))
    asked = rows()["benchmark", "desk tasks"]
    batch = read_mapping()["benchmark"]["batch_size"]
    assert asked.gpu_memory == pytest.approx(2**30 + 14e9 + batch * 700 * layers**2 * 128 * 4)


def test_a_limit_lets_whole_captions_through(change):
    change({"images.candidates": 3, "images.limit": 20})
    assert read_run(None).images == 18
    change({"images.candidates": 5, "images.draft": DRAFT | {"keep": 2, "cosine_min": 0.2}, "images.limit": 100})
    assert (rows()["images", "drafts"].count, read_run(None).images) == (250, 100)
    assert any("cosine_min" in note for note in read_run(None).notes)


def test_sources_with_images_and_without_limits(change):
    tars = SOURCE | {"format": "webdataset", "columns": NO_IMAGE, "limit": 200}
    change({"captions.sources": [SOURCE, SOURCE | {"columns": NO_IMAGE}, tars]})
    work = rows()
    assert work["captions", "rules"].count == 1040 + 2200
    assert work["captions", "original images"].count == 720 + 1200
    change({"captions.sources": [SOURCE | {"limit": None}]})
    with pytest.raises(ValueError, match=r"captions.sources: pool has no limit, .* `--captions N`"):
        read_run(None)
    assert rows(10_000)["captions", "original images"].count == 10_000 - 320


def test_conversations_of_a_file_are_counted_and_tasks_of_unknown_size_named(change):
    change({"finetune.trainable_layers": None, "external_benchmarks.pictures": ["pope", "mmvet", "mine"]})
    change({"external_benchmarks.text": ["theirs"]})
    run = read_run(None)
    assert rows()["benchmark", "lmms-eval"].count == 4 * 9_218
    assert (run.items["pope"], "mmvet" in run.items) == (9_000, False)  # answers of mmvet are graded
    assert "mine, theirs" in run.notes[-1]
    change({"finetune.instructions": {"path": "mix.json", "images": None}})
    turns = [{"from": "human", "value": 'what is "conversations": for?'}, {"from": "gpt", "value": "conversations"}]
    Path("mix.json").write_text(json.dumps([{"id": "0", "conversations": turns}] * 7))
    assert rows()["finetune", ""].count == 3 * 7
    Path("mix.json").write_text("")
    assert rows()["finetune", ""].count == 3 * MIX_665K


@pytest.mark.parametrize(
    ("llm", "parameters"),
    [("Qwen/Qwen2.5-0.5B@main", 0.5e9), ("models/llm", 135e6), ("own", 1000), ("other", None)],
)
def test_the_size_of_a_model(change, llm, parameters):
    Path("own").mkdir()
    Path("own/model.safetensors").write_bytes(bytes(2000))
    change({"vlm.llm": llm})
    run = read_run(None)
    assert run.llm_parameters == parameters
    assert any("other is not known" in note for note in run.notes) == (parameters is None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("images.num_inference_steps", 0, "images.num_inference_steps must be from 1 to 1000, got 0"),
        ("pretrain", None, "pretrain must be a mapping, got None"),
        ("captions.sources", [SOURCE | {"limit": "100"}], r"sources\[0\].limit must be of type int, got '100'"),
    ],
)
def test_wrong_values_are_named(change, key, value, message):
    change({key: value})
    with pytest.raises(ValueError, match=rf"params.yaml: .*{message}"):
        read_run(None)


@pytest.mark.parametrize(
    ("presets", "images"),
    [
        ("paper", 1_000_000),
        ("paper better-synth", 2_000_000),
        ("paper paper-13b paper-qlora", None),
        ("smoke", None),
        ("sdxl-lightning", None),
    ],
)
def test_presets_can_be_planned(change, presets, images, capsys):
    shutil.copytree(ROOT / "presets", "presets")
    for preset in presets.split():
        assert main(["preset", preset]) == 0
    assert main(["estimate"]) == 0
    if images:
        work = rows()
        assert work["images", ""].count == images
        assert work["captions", "BLIP"].count == 2_558_128  # every caption of both sources has an image
        arms = work["pretrain", ""].count
        assert arms == {"paper": 3 * 100_000 + 558_128, "paper better-synth": 4 * (3 * 50_000 + 558_128)}[presets]
        assert ("benchmark", "lmms-eval") in work
        assert "665,298" in capsys.readouterr().out  # instructions, as the file does not exist


def test_torch_is_not_imported():
    code = "import sys, synthpairs.cli.estimate.estimate; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
