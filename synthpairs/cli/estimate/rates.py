"""Rates: seconds per item of work on a reference device, with bounds and sources, and speeds of other GPUs.

Sources are public measurements, this project's own (README.md, docs/performance.md), derivations, and guesses, marked as such.
Derived rates assume 30% of the A100's 312 TFLOP/s in bfloat16, and half of its 19.5 in float32, in which CLIP, BLIP and the
classifier of `contamination` run. FLOP were counted by torch. Desk rates are README.md's; a faster machine needed half the time.
"""

from dataclasses import dataclass
from functools import partial

CPU, CORE, DESK_CPU, EIGHT_CORES, A100 = "cpu", "1 CPU core", "2 CPU cores", "8 CPU cores", "A100 80 GB"
HERE = "this machine"  # beginning of the device of rates that were measured for the estimate


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds per item on one device; `low` and `high` are factors of its bounds."""

    seconds: float
    low: float
    high: float
    unit: str  # the item, at the reference size
    source: str
    reference: float = (
        1.0  # size of the item, to which seconds are proportional: pixels, or parameters of a language model
    )
    device: str = A100  # only rates of this one are scaled by a GPU's speed
    per_image: float = 0.0  # seconds of an image besides its steps: text encoders and VAE
    one_process: bool = False  # not parallel over GPUs

    def __str__(self) -> str:
        return f"{self.seconds:.3g} s per {self.unit} ({self.device}; {self.source})"


@dataclass(frozen=True, slots=True)
class Gpu:
    """Speed of a GPU relative to an A100 80 GB, in fp16 or bf16, with bounds."""

    speed: float
    low: float
    high: float
    source: str


GPUS = {
    "A100": Gpu(1.0, 0.9, 1.3, "reference; torch.compile: 1.3 times (diffusers, fast diffusion)"),
    "H100": Gpu(2.5, 1.5, 4.8, "derived: 3.2 times the peak FLOP/s; MLPerf 4.1 has SDXL at 4.8 times, with TensorRT"),
    "H200": Gpu(2.7, 1.6, 5.6, "derived as H100, by MLPerf 5.0's ratio of the two; TensorRT reaches 5.6 times"),
    "RTX4090": Gpu(1.1, 0.8, 1.4, "SDXL, 25 steps, batch 1: 3.4 s, A100 3.8 s (LCM-LoRA blog)"),
    "RTX3090": Gpu(0.54, 0.4, 0.7, "SDXL, 25 steps, batch 1: 7 s, A100 3.8 s (LCM-LoRA blog)"),
}

REFINER_STEP = 1.08  # of SDXL's refiner relative to its base: 7.29 and 6.76 TFLOP at 1024 pixels, counted by torch
# Bytes of a pixel, means of four photographs of scikit-image (PNG 1.1 to 1.9, JPEG at 95 0.27 to 0.44); the desk's PNGs have 1.7.
LOSSLESS_BYTES = {"png": 1.6, "webp": 1.2}
JPEG_BYTES = {75: 0.14, 85: 0.2, 90: 0.25, 95: 0.37, 100: 0.74}  # by quality; WebP takes 0.6 to 0.8 of it
ORIGINAL_PIXELS = 4 / 3  # of an original relative to the square of its shorter side: a guess
ORIGINAL_COPIES = 2  # DVC's cache and the workspace
IMAGE_COPIES = 3  # work store, DVC's cache, workspace; 2 on file systems with reflinks or hardlinks
CAPTION_BYTES, SCORE_BYTES, GRID_BYTES = 500, 200, 2048  # per row of captions, row of scores, grid of VQ tokens
SOFT_BYTES = 256 * 64 * 2 * 3  # of a grid's soft vectors: float16, in work store, DVC's cache and the workspace
WEIGHT_BYTES = 2 * 2  # of a stored parameter: bfloat16, in DVC's cache and the workspace
CHECKPOINT_BYTES = 12 * 2  # of a trained parameter: float32 weights and AdamW's moments, for two checkpoints
LORA_SHARE = 3.7e-4  # of a 7B Llama's parameters per rank of adapters on all its linear layers
DESK_DISK = 3 * 2**30  # bytes of data, models and cache at desk scale
DESK_MEMORY, DESK_PARAMETERS = 8 * 2**30, 135e6  # peak of training a model of so many parameters on a CPU
# Main memory: of a process with torch, CUDA's libraries and loaders (a guess), besides the weights that it loads; of the
# eight that unpack images for a GPU in `scores` (a guess); of rules and duplicates, and of a candidate in selection: 0.88 GiB for
# ten million captions, 0.96 for a million candidates (docs/performance.md).
PROCESS_MEMORY, UNPACK_MEMORY, RULES_MEMORY, SELECT_MEMORY = 4 * 2**30, 8 * 2**29, 2**30, 1024
KENLM_MEMORY = 4e9  # of a 5-gram model of Wikipedia, mapped: ten times the tables measured, a guess
# GPU memory, guesses: CUDA's context and workspaces; CLIP or BLIP, 0.4 billion weights in float32 and as much for a batch.
CUDA_MEMORY, ENCODER_MEMORY = 2**30, 4 * 2**30
# SDXL: denoiser 2.57 billion and the refiner's 2.26, counted by torch; text encoders 0.82 (SDXL's paper), VAE 0.08, shared.
SDXL_PARAMETERS, REFINER_PARAMETERS = 3.47e9, 2.26e9
# Of an image of 1024 pixels: 8.96 GB for one in bfloat16 (huggingface.co/datasets/sayakpaul/sample-datasets), 21.7 for four
# where SDXL's own VAE works in float32 (huggingface.co/blog/simple_sdxl_optimizations), less the weights' 6.9.
IMAGE_MEMORY, IMAGE_MEMORY_FLOAT32 = 2.0e9, 3.7e9
DRAW_MEMORY = 1500  # bytes of main memory of a drawn pair of 256 VQ tokens: 15 GB for 10.1 million
AMUSED_MEMORY, GRID_MEMORY = 0.8e9 * 4, 5e7  # aMUSEd's 0.8 billion weights in float32 at most; of a grid, a guess
TRAINED_BYTES = 4 + 4 + 4 + 4  # of a trained weight: float32, gradient, AdamW's two moments
NF4_BYTES = 4.127 / 8  # of a weight in 4 bits with quantised scales (QLoRA, arXiv 2305.14314)
LAYER_BYTES = 34  # of a layer's activations, per token and width, without attention scores (arXiv 2205.05198)
TOWER_MEMORY = 0.3e9 * 2  # CLIP ViT-L/14
PAIR_TOKENS = 576 + 64  # of an image and its caption
ANSWER_TOKENS, QUESTION_TOKENS, JUDGED_TOKENS = 700, 2048, 150  # of the desk's tasks, lmms-eval, a judged caption

_core = partial(Rate, device=CORE, one_process=True)
_desk = partial(Rate, device=DESK_CPU)
_README = "the desk run of commit a3f2f92, seconds of the stage less 8 to start"
_PERFORMANCE = "docs/performance.md, seconds of the stage"
_SHARES = "the desk run's 150 s of the stage (a3f2f92), divided as measured elsewhere"
_AUDIT = "the desk run's 10 s for 997 images (a3f2f92), 4.5 of them imports, divided by guess"

COMMON = {  # on any machine
    "start": _core(6, 0.8, 1.3, "process that imports torch", "measured: 5.6 to 6.3 CPU seconds"),
    "captions.rules": _core(2.14e-4, 0.4, 2, "caption, rules and duplicates (1,000,000 in 214 s)",
        "measured: docs/paper-scale.md"),
    "captions.kenlm": _core(5e-5, 0.1, 4, "caption, 5-gram model", "measured: 5.5e-6 for 12 word pieces and tables of 0.4 GB; "
        "Wikipedia's are ten times as large, assumed ten times as slow (a guess)"),
    "captions.originals": _core(0.015, 0.3, 3, "JPEG made smaller, at 384 pixels, and opened for CLIP",
        "measured: 1 to 2 ms where it is no larger, 20 from 1,024 pixels, 3 to open and crop it for CLIP; PNGs take 55 to 110",
        384**2),
    "select": _core(9.6e-6, 0.7, 2, "candidate (1,000,000 in 9.6 s)", "docs/performance.md"),
    "contamination.text": _core(0.6, 0.5, 2, "image of 1024 pixels, text detection",
        "measured: 0.6 with text in it (params.yaml), 0.3 without", 1024**2),
}  # fmt: skip
DESK = COMMON | {
    "captions.generation": _desk(0.107, 0.45, 2, "caption written, 135M parameters (640 in 68 s)", f"{_SHARES}: 36 of 78 s",
        135e6, one_process=True),
    "captions.perplexity": _desk(0.0153, 0.45, 2, "perplexity of a caption, 135M parameters (1,540 in 24 s)",
        f"{_SHARES}: 12 of 78 s", 135e6, one_process=True),
    "captions.judge": _desk(0.0375, 0.45, 2, "caption judged, 135M parameters (1,540 in 58 s)", f"{_SHARES}: 30 of 78 s", 135e6,
        one_process=True),
    "captions.server": _desk(0.0375, 0.2, 5, "caption judged by a server, 135M parameters",
        "guess: as the judge in the stage's own process", 135e6),
    "captions.blip": _desk(1.0, 0.7, 2, "pair, BLIP base, 384 pixels", "measured with random weights: 0.92 to 1.10",
        one_process=True),
    "images": _desk(0.0125, 0.45, 2, "image and step, 64 pixels, guided (741 x 12 in 111 s)", _README, 64**2),
    "images.clip": _desk(0.005, 0.3, 2, "draft of 64 pixels, CLIP", "guess: as an image of `scores`", 64**2),
    "scores": _desk(0.0054, 0.45, 2, "image of 64 pixels, CLIP and SSIM (741 in 4 s)", _README, 64**2),
    "contamination.hashes": _desk(0.002, 0.45, 2, "image of 64 pixels, opened and hashed", _AUDIT, 64**2, one_process=True),
    "contamination.clip": _desk(0.0035, 0.45, 2, "image of 64 pixels, CLIP", _AUDIT, 64**2, one_process=True),
    "contamination.nsfw": _desk(0.2, 0.7, 2, "image, NSFW by ViT-B/16", "measured with random weights: 0.18 to 0.21",
        one_process=True),
    "generate_tokens": _desk(0.0117, 0.45, 2, "token grid and step, guided (1,011 x 8 in 95 s)", _README),
    "class_captions": _desk(0.082, 0.45, 2, "class caption, 135M parameters (256 in 21 s)", _PERFORMANCE, 135e6),
    "encode_real_pairs": _desk(0.0011, 0.45, 2, "scene drawn and encoded as VQ tokens (36,000 in 40 s)", _PERFORMANCE,
        one_process=True),
    "pretrain_tokens": _desk(0.0019, 0.45, 2, "pair, the resampler alone (24,000 in 45 s)", _PERFORMANCE, 135e6),
    "finetune_tokens": _desk(0.34, 0.45, 2, "conversation, 135M parameters (192 in 65 s)", _PERFORMANCE, 135e6),
    "pretrain": _desk(0.15, 0.45, 2, "pair, forward and backward, 135M parameters",
        "measured: 2 to 4 s for 16 pairs of 32 tokens", 135e6),
    "finetune": _desk(0.316, 0.45, 2, "conversation, 135M parameters (440 in 139 s)", _README, 135e6),
    "benchmark": _desk(0.0203, 0.45, 2, "answer, 135M parameters (3,344 in 68 s)", _README, 135e6, one_process=True),
    "lm-eval": _desk(6.7e-4, 0.7, 2, "token read, 135M parameters", "measured: 4 contexts of 700 tokens in 1.9 s", 135e6,
        one_process=True),
}  # fmt: skip
GPU = COMMON | {
    "captions.generation": Rate(0.006, 0.4, 4, "caption written, 7B parameters",
        "derived: weights read once a token at 2 TB/s, 28 tokens, 64 captions at once, and as long again", 7e9, one_process=True),
    "captions.perplexity": Rate(0.0037, 0.4, 3, "perplexity of a caption, 7B parameters",
        "derived: 2 FLOP x parameters x 25 tokens", 7e9, one_process=True),
    "captions.judge": Rate(0.022, 0.4, 3, "caption judged in this process, 7B parameters",
        "derived: 2 FLOP x parameters x 150 tokens", 7e9, one_process=True),
    "captions.server": Rate(0.022, 0.4, 3, "caption judged by a server on these GPUs, 7B parameters",
        "derived: 2 FLOP x parameters x 150 tokens", 7e9),
    "captions.blip": Rate(0.018, 0.5, 2, "pair, BLIP base, 384 pixels",
        "derived: 133 GFLOP in float32; measured: 4 ms to open and transform an image", one_process=True),
    "images": Rate(0.0985, 0.8, 1.4, "image and step, SDXL, 1024 pixels, guided; 0.374 besides the steps",
        "open-muse, all.csv, fp16, batch 8: 12.45 s for 12 steps, 18.75 s for 20; the line through both also meets "
        "diffusers' 3.31 s for 30", 1024**2, per_image=0.374),
    "images.clip": Rate(0.02, 0.5, 2, "draft of 1024 pixels, CLIP",
        "measured: 13 ms to bytes, 5 to crop it for CLIP; derived: 15 GFLOP in float32", 1024**2, CORE),
    "scores": Rate(0.0053, 0.5, 3, "image of 1024 pixels, CLIP and SSIM",
        "docs/performance.md: 0.042 core seconds to decode, resize, compare; CLIP takes less meanwhile "
        "(clip-retrieval, ViT-B/32: 1,450/s on an RTX 3080)", 1024**2, EIGHT_CORES),
    "contamination.hashes": Rate(0.0062, 0.7, 3, "image of 1024 pixels, opened and hashed",
        "measured: 23 ms to open it, on all threads, 3.3 to hash it", 1024**2, EIGHT_CORES, one_process=True),
    "contamination.clip": Rate(0.006, 0.7, 2, "image of 1024 pixels, CLIP",
        "measured: 5.2 ms to crop it; derived: 9 GFLOP in float32", 1024**2, CORE, one_process=True),
    "contamination.nsfw": Rate(0.006, 0.5, 3, "image of 1024 pixels, NSFW by ViT-B/16",
        "derived: 34 GFLOP in float32; measured: 2.5 ms to transform it", one_process=True),
    "generate_tokens": Rate(0.0071, 0.7, 1.5, "token grid and step, aMUSEd-256",
        "open-muse, all.csv, batch 8: 0.60 to 0.76 s for 12 steps"),
    "class_captions": Rate(0.013, 0.3, 5, "caption of 45 words written by a server on these GPUs, 7B parameters",
        "derived as captions.generation, of 60 tokens", 7e9),
    "encode_real_pairs": Rate(0.022, 0.5, 3, "picture of 256 pixels, VQ tokens of aMUSEd", "derived: 216 GFLOP in float32",
        one_process=True),
    "pretrain_tokens": Rate(0.036, 0.7, 2, "pair of 64 image tokens, resampler through a frozen 7B",
        "derived: LLaVA's pretraining, which has 576", 7e9),
    "finetune_tokens": Rate(0.19, 0.7, 2, "conversation of 64 image tokens, 7B parameters",
        "derived: LLaVA's fine-tuning, 576 image tokens and 350 of text (a guess)", 7e9),
    "pretrain": Rate(0.181, 0.8, 1.5, "pair, LLaVA-1.5-7B", "LLaVA README: 558K pairs in 3.5 h on 8 GPUs", 7e9),
    "finetune": Rate(0.433, 0.8, 1.5, "conversation, LLaVA-1.5-7B",
        "LLaVA README: 665K conversations in about 10 h on 8 GPUs (40 GB)", 7e9),
    "benchmark": Rate(0.25, 0.4, 4, "answer, 7B parameters", "derived: 700 tokens read, and as long again for the answer", 7e9,
        one_process=True),
    "lm-eval": Rate(1.5e-4, 0.7, 3, "token read, 7B parameters", "derived: 2 FLOP x parameters", 7e9, one_process=True),
}  # fmt: skip
