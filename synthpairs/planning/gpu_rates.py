"""Rates of an A100 with 8 cores beside it, models of presets/paper.yaml; rates.py says how other GPUs compare.

Derived rates take 30% of the A100's 312 TFLOP/s in bfloat16, and half of its 19.5 in float32, in which CLIP, BLIP and the
classifier of `audit` work beside the generator. FLOP were counted by torch on the models' own classes.
"""

from synthpairs.planning.rates import Rate

_HARDWARE = "A100 80 GB"
_LLM = 7e9  # parameters of Vicuna

PAPER = {
    "captions.written": Rate(
        seconds=0.006, piece="caption written, 7B parameters", hardware=_HARDWARE,
        source="derived: weights read once a token at 2 TB/s, 28 tokens, 64 captions at once, and as long again",
        low=0.4, high=4.0, reference=_LLM, alone=True,
    ),
    "captions.perplexity": Rate(
        seconds=0.0037, piece="caption, 7B parameters", hardware=_HARDWARE,
        source="derived: 2 FLOP x parameters x 25 tokens", low=0.4, high=3.0, reference=_LLM, alone=True,
    ),
    "captions.judge": Rate(
        seconds=0.022, piece="caption judged in this process, 7B parameters", hardware=_HARDWARE,
        source="derived: 2 FLOP x parameters x 150 tokens", low=0.4, high=3.0, reference=_LLM, alone=True,
    ),
    "captions.server": Rate(
        seconds=0.022, piece="caption judged by a server on these GPUs, 7B parameters", hardware=_HARDWARE,
        source="derived: 2 FLOP x parameters x 150 tokens", low=0.4, high=3.0, reference=_LLM,
    ),
    "captions.blip": Rate(
        seconds=0.018, piece="pair, BLIP base, 384 pixels", hardware=_HARDWARE,
        source="derived: 133 GFLOP in float32, and 4 ms to open a picture and shape it (measured)", low=0.5, high=2.0, alone=True,
    ),
    "images": Rate(
        seconds=0.0985, fixed=0.374, piece="picture and step, SDXL, 1024 pixels, guided", hardware=_HARDWARE,
        source="open-muse, all.csv, fp16, batch 8: 12.45 s for 12 steps, 18.75 s for 20; the line through both also meets "
        "diffusers' 3.31 s for 30",
        low=0.8, high=1.4, reference=1024**2,
    ),
    "images.cosines": Rate(
        seconds=0.02, piece="draft of 1024 pixels seen by CLIP", hardware=_HARDWARE,
        source="measured: 13 ms to bytes, 5 to cut it for CLIP, on one core; derived: 15 GFLOP in float32", low=0.5, high=2.0,
        reference=1024**2, on_cpu=True,
    ),
    "scores": Rate(
        seconds=0.0053, piece="picture of 1024 pixels, 8 cores beside each GPU", hardware=_HARDWARE,
        source="docs/performance.md: 0.042 core seconds to unpack, resize, compare; CLIP hides behind them "
        "(clip-retrieval, ViT-B/32: 1,450/s on an RTX 3080)",
        low=0.5, high=3.0, reference=1024**2, on_cpu=True,
    ),
    "audit.hashes": Rate(
        seconds=0.0062, piece="picture of 1024 pixels opened and hashed, 8 cores", hardware=_HARDWARE,
        source="measured: 23 ms to open it, shared among threads, 3.3 to hash it", low=0.7, high=3.0, reference=1024**2,
        on_cpu=True, alone=True,
    ),
    "audit.cosines": Rate(
        seconds=0.006, piece="picture of 1024 pixels seen by CLIP", hardware=_HARDWARE,
        source="measured: 5.2 ms to cut it, on one core; derived: 9 GFLOP in float32", low=0.7, high=2.0, reference=1024**2,
        on_cpu=True, alone=True,
    ),
    "audit.nsfw": Rate(
        seconds=0.006, piece="picture of 1024 pixels, ViT-B/16", hardware=_HARDWARE,
        source="derived: 34 GFLOP in float32, and 2.5 ms to shape it (measured)", low=0.5, high=3.0, alone=True,
    ),
    "embed": Rate(
        seconds=0.0071, piece="token grid and step, aMUSEd-256", hardware=_HARDWARE,
        source="open-muse, all.csv, batch 8: 0.60 to 0.76 s for 12 steps", low=0.7, high=1.5,
    ),
    "align": Rate(
        seconds=0.181, piece="pair, LLaVA-1.5-7B", hardware=_HARDWARE,
        source="LLaVA README: 558K pairs in 3.5 h on 8 GPUs", low=0.8, high=1.5, reference=_LLM,
    ),
    "finetune": Rate(
        seconds=0.433, piece="conversation, LLaVA-1.5-7B", hardware=_HARDWARE,
        source="LLaVA README: 665K conversations in about 10 h on 8 GPUs (40 GB)", low=0.8, high=1.5, reference=_LLM,
    ),
    "benchmark": Rate(
        seconds=0.25, piece="answer, 7B parameters", hardware=_HARDWARE,
        source="derived: 700 tokens in, and as long again for the answer", low=0.4, high=4.0, reference=_LLM, alone=True,
    ),
    "benchmark.lmms-eval": Rate(
        seconds=0.28, piece="question, one at a time, LLaVA of 7B", hardware=_HARDWARE,
        source="github.com/InternLM/xtuner/issues/376: MMBench's 4,329 in about 20 minutes on one GPU", low=0.5, high=3.0,
        reference=_LLM, alone=True,
    ),
    "benchmark.lm-eval": Rate(
        seconds=1.5e-4, piece="token read, 7B parameters", hardware=_HARDWARE,
        source="derived: 2 FLOP x parameters", low=0.7, high=3.0, reference=_LLM, alone=True,
    ),
}  # fmt: skip
