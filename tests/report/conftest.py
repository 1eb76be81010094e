"""A small project on disk as the other stages leave it: every table valid, every picture a real PNG."""

import hashlib
import io
import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

from desk_models.tokenizer import build
from synthpairs.core.schema import (
    ANSWERS,
    AUDIT,
    CANDIDATES,
    CAPTIONS,
    FAILED,
    PAIRS,
    REAL_PAIRS,
    REJECTED,
    SCORES,
    SELECTED,
    candidate_key,
    caption_uid,
    pair_key,
)
from synthpairs.core.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.evaluation.benchmarks.params import Asked, Benchmark
from synthpairs.evaluation.benchmarks.summary import summarise
from synthpairs.evaluation.diversity.clusters import analyse
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.experiments.results import seed_results
from synthpairs.report.findings import Ranking
from synthpairs.report.params import Report
from tests.evaluation.distributions.conftest import chosen_of, made_up_table, results_of
from tests.experiments.conftest import ARMS as SEEDED
from tests.experiments.conftest import made_up_answers

CONCEPTS = ("anchor", "bell", "cat", "dog", "fire", "rose")
ARMS = ("selected", "random", "real")
CODE_ARMS = ("real-codes", "genpair", "synthetic")
MEASURES = dict.fromkeys(CAPTIONS.names[6:])
RANKING = Ranking(strategy="top", fusion="sum", clip_weight=1.0, ssim_weight=0.5)
PARAMS = Report(seed=0, resamples=200, key_tasks=["desk_vqa", "desk_pope"], pictures=4, columns=2, side=32)
BENCHMARK = Benchmark(tasks=Asked(pictures=[], codes=[]), batch=1, resamples=200, seed=0)
# Share of right answers with and without the picture, by task; desk_text has no picture.
SKILL = {"desk_pope": (0.9, 0.5), "desk_vqa": (0.8, 0.3), "desk_text": (0.6, None)}
CODE_SKILL = SKILL | {"desk_caption": (0.7, 0.1)}
CODES, CHANNELS, GRID = 16, 4, (4, 4)
SHARES = {"real-codes": 0.0, "genpair": 0.5, "synthetic": 1.0}  # of generated pairs among 80 draws
STUDY = {
    "sets": ["top-8", "rear-8"],
    "tasks": {"naming": {"differences": {"rear-8": {"value": -0.2, "low": -0.3, "high": -0.1, "shown": True}}}},
}
CURVES = {
    "measure": "cider_d",
    "task": "desk_caption",
    "n": 120,
    "seeds": [0, 1, 2],
    "steps": [100, 200, 300],
    "arms": {
        "real-codes": [[0.2, 0.5, 0.9], [0.3, 0.6, 1.0], [0.1, 0.4, 0.8]],
        "genpair": [[0.9, 1.0, 1.1], [0.8, 1.0, 1.2], [1.0, 1.1, 1.2]],
    },
    "reached": {"step": 100, "baseline": 0.9},
}
SPEED = {
    "n_runs": 5,
    "steps_per_s": {"embeddings": [4.0, 3.8, 4.2], "pixels": [2.0, 1.9, 2.1]},
    "ratio": [2.0, 1.9, 2.1],
    "bytes_per_sample": {"embeddings": 128, "pixels": 12288},
    "peak_memory_mib": {"embeddings": 700.4, "pixels": 900.0},
    "machine": "two | cores",
    "where": {"embeddings": {"language model": 0.9, "resampler": 0.1}, "pixels": {"language model": 0.5, "eye": 0.5}},
    "align": {"steps_per_s": {"embeddings": [9.0, 8.0, 9.5], "pixels": [3.0, 2.5, 3.5]}, "ratio": [3.0, 2.9, 3.2]},
}
REJECTS = (
    ("unusable", "nul\x00 | `code` <b>bold</b> [link](http://x.y) " + "long " * 30, "control character U+0000"),
    ("perplexity", "zq zq vv", "9000.0 > 4000.0"),
    ("alignment", "a dog on blue", "not among the best 40%"),
)
PERPLEXITY = {
    "models": {
        "models/llm": {"value": 30.0, "low": 28.0, "high": 33.0},
        "models/vlm/real/finetuned": {
            "value": 33.0, "low": 30.0, "high": 36.0,
            "against_first": {"value": 1.1, "low": 1.05, "high": 1.15, "p": 0.001, "shown": True},
        },
    },
    "order": ["models/llm", "models/vlm/real/finetuned"], "left_out": [],
    "tokens": 640, "windows": 5, "text": "a novel",
}  # fmt: skip
WON = {"n": 20, "wins": 12, "ties": 4, "losses": 4, "rate": 0.7, "low": 0.55, "high": 0.8, "p": 0.04}
PREFERENCE = {
    "synthetic": "selected",
    "engine": "local",
    "n": 20,
    "concepts": 6,
    "left_out": [],
    "not_asked": None,
    "judges": {
        "models/vlm/real/finetuned": {
            "preference": WON,
            "control": {"real": WON, "synthetic": WON},
            "troubles": {"inconsistent": 0, "unclear": 0, "failed": 0},
            "concepts": {"dog": {"wins": 12, "ties": 4, "losses": 4}},
        }
    },
}
DVC_YAML = """\
stages:
  captions:
    cmd: python -m stages.captions
    desc: gathers captions and keeps the good ones
    deps: [stages/captions.py, models/desk/clip]
    params: [captions, world]
    outs: [data/captions]
    metrics:
    - reports/metrics/captions.json: {cache: false}
  images:
    cmd: python -m stages.images
    deps: [stages/images.py, data/captions/kept.parquet, models/desk/generator]
    params: [images]
    outs: [data/images]
  select:
    cmd: python -m stages.select
    deps: [data/images, data/captions]
    outs:
    - data/selection
  align:
    matrix:
      arm: ${arms}
    cmd: python -m stages.align ${item.arm}
    deps: ["data/selection/pairs/${item.arm}.parquet"]
    outs: ["models/vlm/${item.arm}/aligned"]
  report:
    cmd: python -m stages.report
    deps: [dvc.yaml, data/captions, models/vlm/real/aligned]
    plots:
    - reports/figures: {cache: false}
"""

PARAMS_YAML = """\
arms: [selected, random, real]
code_arms: [real-codes, genpair, synthetic]
pairs: {seed: 0, scenes: 60, kinds: {single: 1.0}, used: 40, tokenizer: models/masked}
select: {strategy: top, fusion: sum, k: 20, clip_weight: 0.5, clip_scale: 2.0, ssim_weight: 0.5, best_of: false,
         per_concept: null, seed: 0, samples_per_shard: 64}
report: {seed: 0, resamples: 200, key_tasks: [desk_vqa, desk_pope], pictures: 4, columns: 2, side: 32}
"""


def png(seed):
    """A disc on a plain ground, 16 pixels wide; equal seeds give equal pictures."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (16, 16), tuple(int(value) for value in rng.integers(256, size=3)))
    ImageDraw.Draw(picture).ellipse((3, 3, 12, 12), fill=tuple(int(value) for value in rng.integers(256, size=3)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def answers(arm, skill, items=120):
    """Rows of ANSWERS: each arm errs on questions of its own."""
    rng = np.random.default_rng(int(hashlib.sha256(arm.encode()).hexdigest()[:8], 16))
    rows = []
    for task, levels in sorted(skill.items()):
        for blind, share in zip((False, True), levels, strict=True):
            for item in range(items if share is not None else 0):
                rows.append(
                    {
                        "uid": f"{task}-{item:04d}", "task": task, "blind": blind,
                        "category": ("what", "where")[item % 2], "concept": CONCEPTS[item % len(CONCEPTS)],
                        "prediction": "yes", "score": float(rng.random() < share),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["task", "blind", "uid"], ignore_index=True)


def write_answers(root, arm, table):
    """One arm's benchmark files."""
    write_table(root / f"reports/benchmarks/items/{arm}.parquet", table, ANSWERS)
    versions = dict.fromkeys(table["task"], 1.0)
    write_json(root / f"reports/benchmarks/{arm}.json", summarise(table, versions, BENCHMARK))


@cache
def tiny_vq():
    """A tokenizer with random weights: 16-pixel pictures, GRID cells."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vq = build([8, 8, 8], CODES, CHANNELS)
        torch.nn.init.normal_(vq.quantize.embedding.weight)
    vq.register_to_config(pixel_range=[-1, 1])
    return vq


def make_route(root):
    """What the Synth2 route leaves: five captions with two grids each, forty real pairs, its arms, curves and speed."""
    rng = np.random.default_rng(8)
    tiny_vq().save_pretrained(root / "models/masked/vqvae")
    texts = [(f"a {concept} on a plain ground", concept) for concept in (*CONCEPTS[:4], "unicorn")]
    rows, samples = [], []
    for text, concept in texts:
        for number in range(2):
            uid = caption_uid(text, "invented")
            key = candidate_key(uid, number, "tiny")
            row = {"key": key, "uid": uid, "text": text, "concept": concept, "number": number, "seed": 0}
            rows.append(row | {"generator": "tiny", "tokens": 9, "shard": "shard-0.tar", "sha256": ""})
            tokens = rng.integers(CODES, size=GRID).astype("<u2").tobytes()
            samples.append((key, {"tokens": tokens, "txt": text.encode(), "json": b"{}"}))
    write_bytes(root / "data/embedded/shard-0.tar", shard_bytes(sorted(samples)))
    write_table(root / "data/embedded/manifest.parquet", sorted(rows, key=lambda row: row["key"]), CANDIDATES)
    told = {"grid": list(GRID), "codes": CODES, "channels": CHANNELS, "vectors": "hard"}
    write_json(root / "data/embedded/generator.json", {"inputs": told})
    real = [
        {
            "key": pair_key("list", number),
            "text": f"real {CONCEPTS[number % 4]} {number}",
            "concept": CONCEPTS[number % 4],
        }
        | {"drawings": [], "tokens": rng.integers(CODES, size=GRID).astype(np.uint16).flatten()}
        for number in range(40)
    ]
    write_table(root / "data/pairs/pairs.parquet", real, REAL_PAIRS)
    write_json(root / "data/pairs/list.json", {"grid": list(GRID)})
    for arm, share in SHARES.items():
        drawn = {"real_draws": round(80 * (1 - share)), "synthetic_draws": round(80 * share)}
        different = {"real_pairs": min(40, drawn["real_draws"]), "synthetic_pairs": min(10, drawn["synthetic_draws"])}
        write_json(root / f"reports/metrics/align/{arm}.json", {"loss_last": 2.5} | drawn | different)
        write_json(root / f"reports/metrics/finetune/{arm}.json", {"loss_last": 1.5})
        write_answers(root, arm, answers(arm, CODE_SKILL))
    metrics = {
        "invent": {"asked": 12, "kept": 8, "classes": 6, "failed": 1, "rejected": {"chatter": 1, "cut": 2}},
        "screen": {"kept_total": 5, "source": {"invented": {"rejected": {"judge": 2, "words": 1}}}},
        "pairs": {"scenes": 60, "used": 40},
        "embed": {"captions": 5, "candidates": 10, "made": 10, "failed": 0},
    }
    for stage, counts in metrics.items():
        write_json(root / f"reports/metrics/{stage}.json", counts)
    write_json(root / "reports/experiments/learning_curves.json", CURVES)
    write_json(root / "reports/preference.json", PREFERENCE)
    table = made_up_table()
    measured = results_of(table, chosen_of(table))
    write_json(root / "reports/distributions.json", measured)
    write_json(root / "reports/experiments/noise_seeds.json", {"paintings": [measured] * 2})
    write_json(root / "reports/perplexity.json", PERPLEXITY)
    write_json(root / "reports/speed.json", SPEED)
    write_json(root / "reports/experiments/strategies.json", {"studies": {"selection": STUDY}})
    write_json(root / "reports/experiments/seeds.json", seed_results(made_up_answers(), ["llm", "untrained"], SEEDED))


def write_audit(root, manifest, chosen):
    """One row a candidate: the first two of the selection are near duplicates, and one shares its caption."""
    rows = manifest[["key", "uid", "text"]].assign(origin="synthetic", selected=manifest["key"].isin(chosen["key"]))
    rows = rows.assign(**dict.fromkeys(AUDIT.names[5:])).assign(phash="0" * 16, picture_bits=9, caption_share=0.0)
    table = rows.assign(caption_exact=False).to_dict("records")
    for row in table:
        row["flags"] = ["near-duplicate"] if row["key"] in set(chosen["key"][:2]) else []
        row["group"] = "f" * 24 if row["flags"] else None
        if row["key"] == chosen["key"][2]:
            row |= {"flags": ["benchmark-caption"], "caption_share": 0.75, "caption_item": "desk_caption/0123"}
    write_table(root / "data/audit/audit.parquet", table, AUDIT)
    told = {"pairs": len(table), "unreadable": 0, "near-duplicate": 2, "benchmark-picture-hash": 0, "short_captions": 3,
            "benchmark-picture-cosine": 0, "benchmark-caption-exact": 0, "benchmark-caption": 1, "text": None,
            "nsfw": None, "groups": 1, "largest_group": 2, "groups_of_several_captions": 1}  # fmt: skip
    sets = {"candidates": told, "selected": told | {"pairs": 20}, "real": dict.fromkeys(told, 0)}
    limits = {"hash_distance": 3, "caption_ngram": 8, "caption_share": 0.5, "cosine_min": 0.98}
    against = {"texts": 50, "pictures": 40}
    write_json(root / "reports/metrics/audit.json", {"sets": sets, "benchmarks": against, "limits": limits})


def make_project(root, arms=ARMS, captions=5):
    """Everything the report reads, `captions` per concept and source with two candidates each."""
    rng = np.random.default_rng(7)
    kept, rejected, candidates, scores = [], [], [], []
    for source in ("human", "model"):
        for concept in CONCEPTS:
            for number in range(captions):
                text = f"a {concept} number {number} of a {source} on a pale blue background"
                row = {"uid": caption_uid(text, source), "text": text, "source": source, "concept": concept}
                kept.append(row | MEASURES | {"drawings": [], "original": png(number) if source == "human" else None})
        for reason, text, detail in REJECTS:
            row = {"uid": caption_uid(text, source), "text": text, "source": source, "concept": "cat"}
            rejected.append(row | MEASURES | {"drawings": [], "original": None, "reason": reason, "detail": detail})
    for row in kept:
        for number in range(2):
            key = candidate_key(row["uid"], number, "tiny")
            told = {name: row[name] for name in ("uid", "text", "concept")}
            told |= {"key": key, "number": number, "seed": number, "generator": "tiny", "tokens": 9, "sha256": ""}
            candidates.append(told | {"shard": f"shard-{key[0]}.tar"})
            clip, ssim = rng.normal(0.3, 0.05), rng.normal(0.9, 0.01)
            scores.append({"key": key, "uid": row["uid"], "concept": row["concept"], "clip_tokens": 12}
                          | {"clip_cosine": float(clip), "ssim": float(ssim)})  # fmt: skip
    manifest = pd.DataFrame(candidates).sort_values("key", ignore_index=True)
    table = manifest.merge(pd.DataFrame(scores)[["key", "clip_cosine", "ssim"]], on="key")
    table["score"] = table["clip_cosine"] + 0.5 * table["ssim"]
    chosen = table.sort_values("score", ascending=False, ignore_index=True).head(20)
    chosen["rank"] = chosen.index
    for shard, rows in manifest.groupby("shard"):
        members = [(key, {"png": png(place), "txt": b"", "json": b"{}"}) for place, key in enumerate(rows["key"])]
        write_bytes(root / "data/images" / str(shard), shard_bytes(members))
    write_table(root / "data/captions/kept.parquet", kept, CAPTIONS)
    write_table(root / "data/captions/rejected.parquet", rejected, REJECTED)
    write_table(root / "data/images/manifest.parquet", manifest, CANDIDATES)
    write_table(root / "data/images/failed.parquet", [], FAILED)
    write_json(root / "data/images/generator.json", {"inputs": {"model": "models/desk/generator"}})
    write_audit(root, manifest, chosen)
    write_table(root / "data/scores/scores.parquet", scores, SCORES)
    write_table(root / "data/scores/failed.parquet", [], FAILED)
    write_table(root / "data/selection/selected.parquet", chosen, SELECTED)
    for arm in arms:
        pairs = chosen.assign(origin="synthetic")
        if arm == "real":
            human = [row for row in kept if row["source"] == "human"][:20]
            pairs = pd.DataFrame(human).assign(origin="real", shard=None, key=lambda found: found["uid"])
        write_table(root / f"data/selection/pairs/{arm}.parquet", pairs, PAIRS)
        for stage in ("align", "finetune"):
            write_json(root / f"reports/metrics/{stage}/{arm}.json", {"pairs": 20, "loss_last": 1.25, "note": "text"})
        write_answers(root, arm, answers(arm, SKILL))
    write_answers(
        root, "untrained", answers("untrained", {task: (0.2, blind and 0.2) for task, (_, blind) in SKILL.items()})
    )
    noise = {"html": {"read": 3, "kept": 1}, "file_name": {"read": 2, "kept": 0}}
    write_json(root / "reports/metrics/captions.json", {"kept_total": len(kept), "noise": noise})
    for stage in ("images", "scores", "select"):
        write_json(root / f"reports/metrics/{stage}.json", {"n": len(manifest)})
    levels = {"desk_pope": {"items": 120, "chance": 0.5, "majority": 0.5}, "desk_text": {"items": 120}}
    write_json(root / "reports/metrics/tasks.json", {"benchmarks": levels})
    write_json(
        root / "reports/diversity.json",
        analyse({name: pd.DataFrame({"uid": SAID, "text": SAID}) for name in DIVERSITY.sets}, DIVERSITY, _embed),
    )
    recall = {"n": 6, "recall_at_1": 0.5, "recall_at_5": 0.9}
    desk = {"clip": {"heldout_combination": recall}, "generator": {"n": 24, "top_1": 0.25, "top_5": 0.75}}
    desk |= {"masked": {"n": 24, "top_1": 0.125, "top_5": 0.5, "psnr_db": 21.5, "codes_used": 0.875}}
    write_json(root / "models/desk/metrics.json", desk)
    write_bytes(root / "dvc.yaml", DVC_YAML.encode())
    write_bytes(root / "params.yaml", PARAMS_YAML.encode())
    make_route(root)


DIVERSITY = Diversity(
    encoder="none", batch=4, sets=["human", "invented"], max_captions=None, clusters=[2, 6], runs=2, restarts=1,
    resamples=10, seed=0,
)  # fmt: skip
SAID = ["a dog", "two dogs", "a red bus", "a blue bus", "a cat", "a bell"]


def _embed(texts):
    """Letters counted: enough of a sentence encoder for a table."""
    return np.array([[text.count(letter) for letter in "abdelst"] for text in texts], dtype=np.float32)


@pytest.fixture(scope="session")
def made_project(tmp_path_factory):
    """The project, made once: no test may change it."""
    root = tmp_path_factory.mktemp("made")
    make_project(root)
    return root


@pytest.fixture
def project(made_project, tmp_path, monkeypatch):
    """A copy of the project's directory, which is the current one."""
    shutil.copytree(made_project, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def params():
    """Small settings of the report."""
    return PARAMS


@pytest.fixture
def ranking():
    """The paper's weights."""
    return RANKING


@pytest.fixture(scope="session")
def write_project():
    """Writes the project into a directory."""
    return make_project
