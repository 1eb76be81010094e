"""Speed of training on embeddings against pixels: `python -m perf.embeddings_vs_pixels`, see perf/README.md.

Synth2 trains on VQ tokens without decoding them, at 2.08 steps/s against 1.66 with images. Here a generator makes VQ tokens
for the same captions; one route trains on their codebook vectors, the other on the decoded images. Blocks of steps alternate in
one process, so that other load on the machine affects both routes.
"""

import argparse
import dataclasses
import logging
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import VQModel

from perf.paired import at_least, ratio, spread, with_interval
from perf.samples import Sample, enlarged, generated, write
from perf.steps import ROUTES, Setup, Steps, peak_memory
from synthpairs.core.config import load_params
from synthpairs.core.storage import read_table, write_bytes, write_json
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.models.vq_tokenizer import FOLDER
from synthpairs.report.experiments.speed import speed_page
from synthpairs.runtime.progress import progress
from synthpairs.runtime.stage import run_stage
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm

log = logging.getLogger(__name__)
SAMPLES = 128
# Steps per block: some seconds on two cores.
BLOCKS = {"desk": {"finetune": 3, "pretrain": 12}, "amused": {"finetune": 1, "pretrain": 1}}
AMUSED_SIDE, AMUSED_CELLS, AMUSED_CODES = 256, 256, 8192  # pixels, tokens per image, size of the codebook
AMUSED = {  # aMUSEd-256's tokenizer (arXiv 2401.01808)
    "act_fn": "silu",
    "block_out_channels": [128, 256, 256, 512, 768],
    "down_block_types": ["DownEncoderBlock2D"] * 5,
    "up_block_types": ["UpDecoderBlock2D"] * 5,
    "layers_per_block": 2,
    "latent_channels": 64,
    "num_vq_embeddings": AMUSED_CODES,
    "sample_size": AMUSED_SIDE,
    "lookup_from_codebook": True,
    "mid_block_add_attention": False,
}


def compared(setup: Setup, samples: list[Sample], runs: int, steps: int) -> dict[str, Any]:
    """Steps/s of both routes, their ratio, and shares of time by part; `runs` alternating blocks of `steps` after a warm-up."""
    both = Steps(setup, samples)
    for route in ROUTES:
        both.run(route, steps)
        both.clocks[route].spent.clear()
    speeds: dict[str, list[float]] = {route: [] for route in ROUTES}
    with progress(setup.kind, runs, "pairs of blocks") as advance:
        for _ in range(runs):
            for route in ROUTES:
                speeds[route].append(both.run(route, steps))
            advance(1)
    return {
        "steps_per_s": {route: spread(speeds[route]) for route in ROUTES},
        "ratio": ratio(speeds["embeddings"], speeds["pixels"]),
        "where": {route: both.clocks[route].shares() for route in ROUTES},
    }


def machine() -> str:
    """Description of this machine: cores, CPU, threads, accelerator."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    parts = [f"{os.cpu_count()} cores", cpu or platform.machine(), f"{torch.get_num_threads()} threads"]
    return ", ".join(parts + ([torch.cuda.get_device_name()] if torch.cuda.is_available() else []))


def measure(preset: str, samples: list[Sample], runs: int, folder: Path) -> dict[str, Any]:
    """The report's entries; `folder` is for files that other processes read."""
    vlm, resampler = load_params(Vlm, "vlm"), load_params(Resampler, "resampler")
    finetune, pretrain = load_params(Finetune, "finetune_tokens"), load_params(Training, "pretrain_tokens")
    if preset == "amused":
        torch.manual_seed(0)
        VQModel(**AMUSED).save_pretrained(folder / FOLDER)
        write_json(folder / "transformer/config.json", {"sample_size": round(AMUSED_CELLS**0.5)})
        resampler = dataclasses.replace(resampler, tokenizer=str(folder))
        # The batch of 64 would take minutes per step.
        pretrain = dataclasses.replace(pretrain, batch_size=finetune.batch_size, micro_batch_size=finetune.batch_size)
        samples = enlarged(samples, AMUSED_SIDE, AMUSED_CELLS, AMUSED_CODES)
    write(samples, folder / "samples.tar")
    log.info("peak memory of each route, in a process of its own")
    memory = {route: round(peak_memory(route, folder / "samples.tar", resampler.tokenizer), 1) for route in ROUTES}
    blocks = BLOCKS[preset]
    tuned = compared(Setup("finetune", vlm, resampler, finetune), samples, runs, blocks["finetune"])
    pretrained = compared(Setup("pretrain", vlm, resampler, pretrain), samples, runs, blocks["pretrain"])
    return tuned | {
        "n_runs": runs,
        "bytes_per_sample": {
            "embeddings": round(np.mean([len(sample.tokens) for sample in samples])),
            "pixels": round(np.mean([len(sample.png) for sample in samples])),
        },
        "peak_memory_mib": memory,
        "machine": machine(),
        "pretrain": pretrained,
    }


def show(results: dict[str, Any], seconds: list[tuple[float, float]], captions: int) -> None:
    """Print the report, and the speed of generation from the seconds of each batch."""
    tokens, images = np.asarray(seconds).T
    batches = f"{captions} captions in {len(tokens)} batches"
    print(f"{results['machine']}; medians [95% interval] over {results['n_runs']} pairs of blocks")
    print(f"generation, {batches}: VQ tokens {1000 * tokens.sum() / captions:.1f} ms per sample, decoding and PNG")
    times = with_interval(spread((tokens + images) / tokens))
    print(f"  {1000 * images.sum() / captions:.1f} ms more; pixels/embeddings {times}")
    for name, part in (("fine-tuning", results), ("pretraining", results["pretrain"])):
        embeddings, pixels = (with_interval(part["steps_per_s"][route]) for route in ROUTES)
        print(f"{name}: embeddings {embeddings} steps/s, pixels {pixels}")
        print(f"  embeddings/pixels {with_interval(part['ratio'])}")
        for route in ROUTES:
            print(f"  {route}: " + ", ".join(f"{where} {share:.1%}" for where, share in part["where"][route].items()))
    print("bytes per sample, peak memory of fine-tuning:")
    for route in ROUTES:
        print(f"  {route}: {results['bytes_per_sample'][route]} bytes, {results['peak_memory_mib'][route]:.0f} MiB")


def main() -> None:
    """Generate, measure, print, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.embeddings_vs_pixels")
    parser.add_argument("--preset", choices=sorted(BLOCKS), default="desk",
                        help="amused: a tokenizer of the size of aMUSEd-256's, with random weights (default: desk)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=12, help="pairs of timed blocks of each training (default: 12)")
    parser.add_argument("--out", type=Path, default=None,
                        help="JSON to write, with a page (default: reports/experiments/speed.json for desk)")  # fmt: skip
    options = parser.parse_args()
    at_least(1, runs=options.runs)
    texts = list(read_table(Path("data/filtered_captions/kept.parquet"), "dvc repro filter_captions")["text"][:SAMPLES])
    generator = MaskedGenerator(load_params(GenerateTokens, "generate_tokens"))
    generated(generator, texts[: generator.params.batch_size])  # chooses the number of threads
    samples, seconds = generated(generator, texts)
    del generator
    with tempfile.TemporaryDirectory() as folder:
        results = measure(options.preset, samples, options.runs, Path(folder))
    show(results, seconds, len(samples))
    out = options.out or (Path("reports/experiments/speed.json") if options.preset == "desk" else None)
    if out is not None:
        results["pretrain"].pop("where")
        write_json(out, results)
        write_bytes(out.with_suffix(".md"), speed_page(results).encode())


if __name__ == "__main__":
    run_stage(main)
