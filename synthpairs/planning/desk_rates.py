"""Rates of the desk scale: two CPU cores, models of params.yaml.

Two machines that were measured on differ by a factor of two; README.md has the slower one's seconds, which is why `low` is 0.45.
"""

from synthpairs.planning.rates import Rate

_HARDWARE = "2 CPU cores"
_README = "README.md, seconds of the stage less 8 to start"
_SHARED = "README.md's 150 s of the stage, shared out as measured elsewhere"
_LLM = 135e6  # parameters of SmolLM2
START = 6.0  # s: CPU seconds of importing the stages images (5.6), finetune (6.3), benchmark (6.1); without a model 0.4 to 0.7

DESK = {
    "captions.written": Rate(
        seconds=0.107, piece="caption written, 135M parameters (640 in 68 s)", hardware=_HARDWARE,
        source=f"{_SHARED}: 36 of 78 s", low=0.45, high=2.0, reference=_LLM,
        alone=True,
    ),
    "captions.perplexity": Rate(
        seconds=0.0153, piece="caption read, 135M parameters (1,540 in 24 s)", hardware=_HARDWARE,
        source=f"{_SHARED}: 12 of 78 s", low=0.45, high=2.0, reference=_LLM, alone=True,
    ),
    "captions.judge": Rate(
        seconds=0.0375, piece="caption read, 135M parameters (1,540 in 58 s)", hardware=_HARDWARE,
        source=f"{_SHARED}: 30 of 78 s", low=0.45, high=2.0, reference=_LLM, alone=True,
    ),
    "captions.server": Rate(
        seconds=0.0375, piece="caption read, 135M parameters", hardware=_HARDWARE,
        source="guess: as the judge in the stage's own process", low=0.2, high=5.0, reference=_LLM,
    ),
    "captions.blip": Rate(
        seconds=1.0, piece="pair, BLIP base, 384 pixels", hardware=_HARDWARE,
        source="measured with random weights: 0.92 to 1.10", low=0.7, high=2.0, alone=True,
    ),
    "images": Rate(
        seconds=0.0125, piece="picture and step, 64 pixels, guided (741 x 12 in 111 s)", hardware=_HARDWARE, source=_README,
        low=0.45, high=2.0, reference=64**2,
    ),
    "images.cosines": Rate(
        seconds=0.005, piece="draft of 64 pixels seen by CLIP", hardware=_HARDWARE, source="guess: as a picture of `scores`",
        low=0.3, high=2.0, reference=64**2,
    ),
    "scores": Rate(
        seconds=0.0054, piece="picture of 64 pixels (741 in 4 s)", hardware=_HARDWARE, source=_README, low=0.45, high=2.0,
        reference=64**2, on_cpu=True,
    ),
    "audit.hashes": Rate(
        seconds=0.002, piece="picture of 64 pixels opened and hashed", hardware=_HARDWARE,
        source="README.md's 10 s for 997 pictures, 4.5 of them imports, shared out by guess", low=0.45, high=2.0,
        reference=64**2, on_cpu=True, alone=True,
    ),
    "audit.cosines": Rate(
        seconds=0.0035, piece="picture of 64 pixels seen by CLIP", hardware=_HARDWARE,
        source="README.md's 10 s for 997 pictures, 4.5 of them imports, shared out by guess",
        low=0.45, high=2.0, reference=64**2, alone=True,
    ),
    "audit.nsfw": Rate(
        seconds=0.2, piece="picture, ViT-B/16", hardware=_HARDWARE, source="measured with random weights: 0.18 to 0.21",
        low=0.7, high=2.0, alone=True,
    ),
    "embed": Rate(
        seconds=0.0117, piece="token grid and step, guided (1,011 x 8 in 95 s)", hardware=_HARDWARE, source=_README,
        low=0.45, high=2.0,
    ),
    "align": Rate(
        seconds=0.15, piece="pair, forward and back, 135M parameters", hardware=_HARDWARE,
        source="measured: 2 to 4 s for 16 pairs of 32 tokens", low=0.45, high=2.0, reference=_LLM,
    ),
    "finetune": Rate(
        seconds=0.316, piece="conversation, 135M parameters (440 in 139 s)", hardware=_HARDWARE, source=_README,
        low=0.45, high=2.0, reference=_LLM,
    ),
    "benchmark": Rate(
        seconds=0.0203, piece="answer, 135M parameters (3,344 in 68 s)", hardware=_HARDWARE, source=_README,
        low=0.45, high=2.0, reference=_LLM, alone=True,
    ),
    "benchmark.lmms-eval": Rate(
        seconds=0.2, piece="question, one at a time, 135M parameters", hardware=_HARDWARE,
        source="measured: 0.10 s for 4 tokens of an answer, 0.36 for 16", low=0.4, high=4.0, reference=_LLM, alone=True,
    ),
    "benchmark.lm-eval": Rate(
        seconds=6.7e-4, piece="token read, 135M parameters", hardware=_HARDWARE,
        source="measured: 4 contexts of 700 tokens in 1.9 s", low=0.7, high=2.0, reference=_LLM, alone=True,
    ),
}  # fmt: skip
