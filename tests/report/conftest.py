"""A small project on disk with the results of all other stages: valid tables, real PNG images."""

import dataclasses
import hashlib
import io
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

from desk_models.tokenizer import build
from synthpairs.core import schema
from synthpairs.core.config import read_mapping
from synthpairs.core.schema import candidate_key, caption_uid, pair_key
from synthpairs.core.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.evaluation.benchmarks.params import Benchmark, RouteTasks
from synthpairs.evaluation.benchmarks.summary import summarise
from synthpairs.evaluation.diversity.clusters import measure_diversity
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.report.params import Report
from synthpairs.report.results import read_synth2_results, read_synthvlm_results
from synthpairs.selection.params import Select
from tests.evaluation.distributions.conftest import made_up_table, pair_sets_of, results_of
from tests.pipeline import ROOT

CONCEPTS = ("anchor", "bell", "cat", "dog", "fire", "rose")
ARMS = ("selected", "random", "real")
TOKEN_ARMS = ("real-tokens", "genpair", "synthetic")
SELECT = Select(strategy="top", normalisation="sum", num_pairs=20, clip_weight=0.5, clip_scale=2.0, ssim_weight=0.5,
                best_of=False, per_concept=None, seed=0, samples_per_shard=64)  # fmt: skip
PARAMS = Report(seed=0, resamples=200, key_tasks=["desk_vqa", "desk_pope"], pictures=4, columns=2, image_size=32)
BENCHMARK = Benchmark(tasks=RouteTasks(pictures=[], tokens=[]), batch_size=1, resamples=200, seed=0)
DIVERSITY = Diversity(encoder="none", batch_size=4, sets=["reference", "class-captions"], max_captions=None, clusters=[2, 6],
                      runs=2, restarts=1, resamples=10, seed=0)  # fmt: skip
# Share of right answers with and without the image, by task; desk_text has no image.
SKILL = {"desk_pope": (0.9, 0.5), "desk_vqa": (0.8, 0.3), "desk_text": (0.6, None)}
CODE_SKILL = SKILL | {"desk_caption": (0.7, 0.1)}
UNTRAINED_SKILL = {"desk_pope": (0.2, 0.2), "desk_vqa": (0.2, 0.2), "desk_text": (0.2, None)}
CODES, CHANNELS, GRID = 16, 4, (4, 4)
INPUTS = {"grid": GRID, "codes": CODES, "channels": CHANNELS, "vectors": "hard"}  # of the masked generator
REAL_DRAWS = {"real-tokens": 80, "genpair": 40, "synthetic": 0}  # of 80
AGAINST = {"value": 1.1, "low": 1.05, "high": 1.15, "p": 0.001, "shown": True}
PERPLEXITY = {
    "models": {"models/llm": {"value": 30.0, "low": 28.0, "high": 33.0},
               "models/vlm/real/finetuned": {"value": 33.0, "low": 30.0, "high": 36.0, "against_first": AGAINST}},
    "order": ["models/llm", "models/vlm/real/finetuned"], "left_out": [], "tokens": 640, "windows": 5, "text": "a novel",
}  # fmt: skip
WON = {"n": 20, "wins": 12, "ties": 4, "losses": 4, "rate": 0.7, "low": 0.55, "high": 0.8, "p": 0.04}
JUDGE = {
    "preference": WON, "control": {"real": WON, "synthetic": WON}, "concepts": {"dog": {"wins": 12, "ties": 4, "losses": 4}},
    "troubles": {"inconsistent": 0, "unclear": 0, "failed": 0},
}  # fmt: skip
PREFERENCE = {"synthetic": "selected", "engine": "local", "n": 20, "concepts": 6, "left_out": [], "not_asked": None,
              "judges": {"models/vlm/real/finetuned": JUDGE}}  # fmt: skip
AUDITED = {
    "pairs": 120, "unreadable": 0, "near-duplicate": 2, "benchmark-picture-hash": 0, "benchmark-picture-cosine": 0,
    "benchmark-caption-exact": 0, "benchmark-caption": 1, "text": None, "nsfw": None, "short_captions": 3, "groups": 1,
    "largest_group": 2, "groups_of_several_captions": 1,
}  # fmt: skip
PAINTED = {
    "model": "models/desk/generator", "pipeline": "SomePipeline", "scheduler": {"class": "SomeScheduler"}, "steps": 4,
    "guidance": 3.0, "side": 64, "format": "png",
}  # fmt: skip
SCORED = {"clip": "local-dir:x", "pretrained": None, "prefix": ""}
MEASURED = {"resize_to": None, "downscale_to": 21, "kernel": "bilinear", "window": "uniform7", "colour": "gray"}
RECALL = {"n": 6, "recall_at_1": 0.5, "recall_at_5": 0.9}
PARAMS_YAML = {
    "arms": ARMS, "token_arms": TOKEN_ARMS, "report": dataclasses.asdict(PARAMS),
    "encode_real_pairs": {
        "source": "emoji", "seed": 0, "scenes": 60, "kinds": {"single": 1.0}, "used": 40, "tokenizer": "models/masked"
    },
    "select": dataclasses.asdict(SELECT),
    **{section: read_mapping(ROOT / "params.yaml")[section] for section in ("captions", "language_model", "vlm")},
}  # fmt: skip
FILES = {
    "params.yaml": PARAMS_YAML,
    "data/generated_tokens/generator.json": {"inputs": INPUTS},
    "data/images/generator.json": {"fingerprint": "f" * 24, "inputs": PAINTED},
    "data/scores/scorer.json": {"inputs": {"clip": SCORED, "ssim": MEASURED}},
    "data/real_pairs/list.json": {"grid": GRID},
    "models/desk/metrics.json": {
        "clip": {"heldout_combination": RECALL}, "generator": {"n": 24, "top_1": 0.25, "top_5": 0.75},
        "masked": {"n": 24, "top_1": 0.125, "top_5": 0.5, "psnr_db": 21.5, "codes_used": 0.875},
    },
    "reports/metrics/contamination.json": {
        "sets": {"candidates": AUDITED, "selected": AUDITED | {"pairs": 20}, "real": dict.fromkeys(AUDITED, 0)},
        "benchmarks": {"texts": 50, "pictures": 40},
        "limits": {"hash_distance": 3, "caption_ngram": 8, "caption_share": 0.5, "cosine_min": 0.98},
    },
    "reports/metrics/captions.json": {
        "kept_total": 60, "noise": {"html": {"read": 3, "kept": 1}, "file_name": {"read": 2, "kept": 0}}
    },
    "reports/metrics/generate_tokens.json": {"captions": 5, "candidates": 10, "made": 10, "failed": 0},
    "reports/metrics/class_captions.json": {
        "asked": 12, "kept": 8, "classes": 6, "failed": 1, "rejected": {"chatter": 1, "cut": 2}
    },
    "reports/metrics/encode_real_pairs.json": {"scenes": 60, "used": 40},
    "reports/metrics/filter_captions.json": {"kept_total": 5, "source": {"invented": {"rejected": {"judge": 2, "words": 1}}}},
    "reports/metrics/tasks.json": {
        "benchmarks": {"desk_pope": {"items": 120, "chance": 0.5, "majority": 0.5}, "desk_text": {"items": 120}}
    },
    "reports/perplexity.json": PERPLEXITY,
    "reports/preference.json": PREFERENCE,
}  # fmt: skip
REJECTIONS = (
    ("unusable", "nul\x00 | `code` <b>bold</b> [link](http://x.y) " + "long " * 30, "control character U+0000"),
    ("perplexity", "zq zq vv", "9000.0 > 4000.0"),
    ("alignment", "a dog on blue", "not among the best 40%"),
)


def png(seed):
    """A disc on a plain ground, 16 pixels wide; equal seeds give equal images."""
    ground, disc = np.random.default_rng(seed).integers(256, size=(2, 3)).tolist()
    image, buffer = Image.new("RGB", (16, 16), tuple(ground)), io.BytesIO()
    ImageDraw.Draw(image).ellipse((3, 3, 12, 12), fill=tuple(disc))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def answers(arm, skill):
    """Rows of ANSWERS to 120 items of each task, with errors that depend on the arm."""
    rng = np.random.default_rng(int(hashlib.sha256(arm.encode()).hexdigest()[:8], 16))
    return pd.DataFrame(
        {"uid": f"{task}-{item:04d}", "task": task, "blind": blind, "category": ("what", "where")[item % 2],
         "concept": CONCEPTS[item % 6], "prediction": "yes" if task == "desk_pope" else "a dog",
         "score": float(rng.random() < share)}
        for task, shares in sorted(skill.items())
        for blind, share in zip((False, True), shares, strict=True)
        if share is not None
        for item in range(120)
    )  # fmt: skip


def write_answers(root, arm, table):
    """Benchmark files of an arm."""
    write_table(root / f"reports/benchmarks/items/{arm}.parquet", table, schema.ANSWERS)
    summary = summarise(table, dict.fromkeys(table["task"], 1.0), BENCHMARK)
    write_json(root / f"reports/benchmarks/{arm}.json", summary)


def write_trainings(root, arm, skill, **pretrain):
    """Metrics of an arm's trainings, and its benchmark files."""
    for stage, metrics in (("pretrain", pretrain), ("finetune", {})):
        write_json(root / f"reports/metrics/{stage}/{arm}.json", {"loss_last": 1.25, "note": "text"} | metrics)
    write_answers(root, arm, answers(arm, skill))


def write_rows(root, name, columns, rows):
    """A table of data/; missing columns are null."""
    write_table(root / f"data/{name}.parquet", [dict.fromkeys(columns.names) | row for row in rows], columns)


def captions(source):
    """Five of each concept; reference captions have images."""
    return [
        {"uid": caption_uid(text, source), "text": text, "source": source, "concept": concept, "drawings": [],
         "original": png(n) if source == "human" else None, "clip_original": 0.3 if source == "human" else None}
        for concept in CONCEPTS
        for n in range(5)
        for text in [f"a {concept} number {n} of a {source} on a pale blue background"]
    ]  # fmt: skip


def candidates_of(rows):
    """Two candidates of each caption, sorted by key."""
    table = pd.DataFrame(rows)[["uid", "text", "concept"]].loc[lambda rows: rows.index.repeat(2)]
    table = table.assign(number=[0, 1] * len(rows), seed=0, generator="tiny", tokens=9, sha256="")
    table["key"] = [candidate_key(row.uid, row.number, "tiny") for row in table.itertuples()]
    return table.assign(shard=[f"shard-{key[0]}.tar" for key in table["key"]]).sort_values("key", ignore_index=True)


def write_synthvlm_route(root):
    """60 captions, 120 candidates with scores, 20 of them selected: two near duplicates, one with a benchmark's caption."""
    rng, human = np.random.default_rng(7), captions("human")
    kept = human + captions("model")
    rejected = [
        {"uid": caption_uid(text, source), "text": text, "source": source, "concept": "cat", "drawings": [],
         "reason": reason, "detail": detail}
        for source in ("human", "model")
        for reason, text, detail in REJECTIONS
    ]  # fmt: skip
    candidates = candidates_of(kept).assign(
        clip_cosine=rng.normal(0.3, 0.05, 120), ssim=rng.normal(0.9, 0.01, 120), clip_tokens=12
    )
    candidates["score"] = candidates["clip_cosine"] + 0.5 * candidates["ssim"]
    chosen = candidates.sort_values("score", ascending=False, ignore_index=True).head(20).assign(rank=range(20))
    for shard, rows in candidates.groupby("shard"):
        members = [(key, {"png": png(n), "txt": b"", "json": b"{}"}) for n, key in enumerate(rows["key"])]
        write_bytes(root / "data/images" / shard, shard_bytes(members))
    best = list(chosen["key"])
    flagged = {key: {"flags": ["near-duplicate"], "group": "f" * 24} for key in best[:2]}
    flagged[best[2]] = {"flags": ["benchmark-caption"], "caption_share": 0.75, "caption_item": "desk_caption/0123"}
    audited = {"origin": "synthetic", "phash": "0" * 16, "picture_bits": 9, "caption_share": 0.0, "caption_exact": False,
              "flags": []}  # fmt: skip
    contamination = [
        row | audited | {"selected": row["key"] in best} | flagged.get(row["key"], {})
        for row in candidates[["key", "uid", "text"]].to_dict("records")
    ]
    real = [row | {"key": row["uid"], "origin": "real"} for row in human[:20]]
    made = chosen.assign(origin="synthetic").to_dict("records")
    rows = candidates.to_dict("records")
    tables = {
        "captions/kept": (schema.CAPTIONS, kept), "captions/rejected": (schema.REJECTED, rejected),
        "images/manifest": (schema.CANDIDATES, rows), "images/failed": (schema.FAILED, []),
        "scores/scores": (schema.SCORES, rows), "scores/failed": (schema.FAILED, []),
        "contamination/contamination": (schema.CONTAMINATION, contamination),
        "selection/selected": (schema.SELECTED, made), "selection/pairs/selected": (schema.PAIRS, made),
        "selection/pairs/random": (schema.PAIRS, made), "selection/pairs/real": (schema.PAIRS, real),
    }  # fmt: skip
    for name, (columns, rows) in tables.items():
        write_rows(root, name, columns, rows)
    for arm in ARMS:
        write_trainings(root, arm, SKILL, pairs=20)
    write_answers(root, "untrained", answers("untrained", UNTRAINED_SKILL))


def write_synth2_route(root):
    """Five captions with two grids each, forty real pairs, and a tokenizer with random weights."""
    rng = np.random.default_rng(8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vq = build([8, 8, 8], CODES, CHANNELS)
        torch.nn.init.normal_(vq.quantize.embedding.weight)
    vq.register_to_config(pixel_range=[-1, 1])
    vq.save_pretrained(root / "models/masked/vqvae")
    texts = [(f"a {concept} on a plain ground", concept) for concept in (*CONCEPTS[:4], "unicorn")]
    rows = [{"uid": caption_uid(text, "invented"), "text": text, "concept": concept} for text, concept in texts]
    grids = candidates_of(rows).assign(shard="shard-0.tar")
    samples = [
        (key, {"tokens": rng.integers(CODES, size=GRID).astype("<u2").tobytes(), "txt": text.encode(), "json": b"{}"})
        for key, text in zip(grids["key"], grids["text"], strict=True)
    ]
    write_bytes(root / "data/generated_tokens/shard-0.tar", shard_bytes(samples))
    write_table(root / "data/generated_tokens/manifest.parquet", grids, schema.CANDIDATES)
    real = [
        {"key": pair_key("list", n), "text": f"real {CONCEPTS[n % 4]} {n}", "concept": CONCEPTS[n % 4], "drawings": [],
         "tokens": rng.integers(CODES, size=16).astype(np.uint16)}
        for n in range(40)
    ]  # fmt: skip
    write_table(root / "data/real_pairs/pairs.parquet", real, schema.REAL_PAIRS)
    for arm, draws in REAL_DRAWS.items():
        write_trainings(root, arm, CODE_SKILL, real_draws=draws, synthetic_draws=80 - draws, real_pairs=min(40, draws),
                        synthetic_pairs=min(10, 80 - draws))  # fmt: skip


def letters(captions):
    """Counts of letters, in place of a sentence encoder."""
    return np.array([[text.count(letter) for letter in "abdelst"] for text in captions], dtype=np.float32)


def make_project(root):
    """All files that the report reads."""
    write_synthvlm_route(root)
    write_synth2_route(root)
    texts, table = ["a dog", "two dogs", "a red bus", "a blue bus", "a cat", "a bell"], made_up_table()
    same, measured = pd.DataFrame({"uid": texts, "text": texts}), results_of(table, pair_sets_of(table))
    results = {
        "reports/distributions.json": measured,
        "reports/diversity.json": measure_diversity({"reference": same, "class-captions": same}, DIVERSITY, letters),
    }
    for path, content in (FILES | results).items():
        write_json(root / path, content)
    shutil.copy(ROOT / "packages.lock.yaml", root)


@pytest.fixture(scope="session")
def made_project(tmp_path_factory):
    """The project, shared by all tests; read only."""
    root = tmp_path_factory.mktemp("made")
    make_project(root)
    return root


@pytest.fixture
def project(made_project, tmp_path, monkeypatch):
    """A copy of the project as the current directory."""
    shutil.copytree(made_project, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    return tmp_path


@pytest.fixture
def results(made_project):
    """Results of the SynthVLM route."""
    return read_synthvlm_results(ARMS, made_project)


@pytest.fixture
def synth2_results(made_project):
    """Results of the Synth2 route."""
    return read_synth2_results(TOKEN_ARMS, made_project)
