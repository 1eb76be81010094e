"""How long one piece of each stage's work takes, on which hardware, and who measured it.

`low` and `high` are the factors between which the truth is expected to lie. Sources are public measurements, this project's
own (README.md, docs/performance.md), or a derivation that is spelled out; a derived rate is the least sure.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Seconds of one machine part (a GPU with its share of cores, or the desk's two cores) for one piece of work."""

    seconds: float
    piece: str  # what is counted, at which size
    hardware: str
    source: str
    low: float
    high: float
    fixed: float = 0.0  # seconds for each item beside its pieces
    reference: float = 1.0  # size that the rate was measured at: pixels of a side, or parameters of a language model
    on_cpu: bool = False  # no GPU makes it faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """How fast a GPU is beside an A100 80 GB, fp16 or bf16."""

    speed: float
    low: float  # of the speed
    high: float
    source: str


CPU = "cpu"
GPUS = {
    "A100": Gpu(speed=1.0, low=0.9, high=1.3, source="reference; torch.compile: 1.3 times (diffusers, fast diffusion)"),
    "H100": Gpu(
        speed=2.5,
        low=1.5,
        high=4.8,
        source="derived: 3.2 times the peak FLOP/s; MLPerf 4.1 has SDXL at 4.8 times, with TensorRT",
    ),
    "H200": Gpu(
        speed=2.7,
        low=1.6,
        high=5.6,
        source="derived as H100, by MLPerf 5.0's ratio of the two; TensorRT reaches 5.6 times",
    ),
    "RTX4090": Gpu(speed=1.1, low=0.8, high=1.4, source="SDXL, 25 steps, batch 1: 3.4 s, A100 3.8 s (LCM-LoRA blog)"),
    "RTX3090": Gpu(speed=0.54, low=0.4, high=0.7, source="SDXL, 25 steps, batch 1: 7 s, A100 3.8 s (LCM-LoRA blog)"),
}

_DESK = "2 CPU cores"
_README = "README.md, seconds of the stage less its start"
_A100 = "A100 80 GB"
DESK_START = 8.0  # s that a stage's process takes to start

DESK = {
    "captions": Rate(
        seconds=0.0974, piece="caption read, 135M parameters (1,540 in 150 s)", hardware=_DESK, source=_README,
        low=0.7, high=2.0, reference=135e6,
    ),
    "images": Rate(
        seconds=0.0125, piece="picture and step, 64 pixels, guided (741 x 12 in 111 s)", hardware=_DESK, source=_README,
        low=0.7, high=2.0, reference=64,
    ),
    "scores": Rate(
        seconds=0.0054, piece="picture of 64 pixels (741 in 4 s)", hardware=_DESK, source=_README, low=0.5, high=2.0,
        reference=64, on_cpu=True,
    ),
    "embed": Rate(
        seconds=0.0117, piece="token grid and step, guided (1,011 x 8 in 95 s)", hardware=_DESK, source=_README,
        low=0.7, high=2.0,
    ),
    "align": Rate(
        seconds=0.15, piece="pair, forward and back, 135M parameters", hardware=_DESK,
        source="measured: 2 to 4 s for 16 pairs of 32 tokens", low=0.7, high=2.0, reference=135e6,
    ),
    "finetune": Rate(
        seconds=0.316, piece="conversation, 135M parameters (440 in 139 s)", hardware=_DESK, source=_README,
        low=0.7, high=2.0, reference=135e6,
    ),
    "benchmark": Rate(
        seconds=0.0203, piece="answer, 135M parameters (3,344 in 68 s)", hardware=_DESK, source=_README,
        low=0.7, high=2.0, reference=135e6,
    ),
}  # fmt: skip

PAPER = {
    "captions": Rate(
        seconds=0.022, piece="caption judged, 7B parameters", hardware=_A100,
        source="derived: 2 FLOP x parameters x 150 tokens at 30% of 312 TFLOP/s", low=0.4, high=3.0, reference=7e9,
    ),
    "images": Rate(
        seconds=0.0985, fixed=0.374, piece="picture and step, SDXL, 1024 pixels, guided", hardware=_A100,
        source="open-muse, all.csv, fp16, batch 8: 12.45 s for 12 steps, 18.75 s for 20; the line through both also meets "
        "diffusers' 3.31 s for 30",
        low=0.8, high=1.4, reference=1024,
    ),
    "scores": Rate(
        seconds=0.0053, piece="picture of 1024 pixels, 8 cores beside each GPU", hardware=_A100,
        source="docs/performance.md: 0.042 core seconds to unpack, resize, compare; CLIP hides behind them "
        "(clip-retrieval, ViT-B/32: 1,450/s on an RTX 3080)",
        low=0.5, high=3.0, reference=1024, on_cpu=True,
    ),
    "embed": Rate(
        seconds=0.0071, piece="token grid and step, aMUSEd-256", hardware=_A100,
        source="open-muse, all.csv, batch 8: 0.60 to 0.76 s for 12 steps", low=0.7, high=1.5,
    ),
    "align": Rate(
        seconds=0.181, piece="pair, LLaVA-1.5-7B", hardware=_A100,
        source="LLaVA README: 558K pairs in 3.5 h on 8 GPUs", low=0.8, high=1.5, reference=7e9,
    ),
    "finetune": Rate(
        seconds=0.433, piece="conversation, LLaVA-1.5-7B", hardware=_A100,
        source="LLaVA README: 665K conversations in about 10 h on 8 GPUs (40 GB)", low=0.8, high=1.5, reference=7e9,
    ),
    "benchmark": Rate(
        seconds=0.25, piece="answer, 7B parameters", hardware=_A100,
        source="derived: 700 tokens in, at 30% of 312 TFLOP/s, and as long again for the answer", low=0.4, high=4.0,
        reference=7e9,
    ),
}  # fmt: skip

# Ranking is pandas on one core, whatever the scale.
SELECT = Rate(
    seconds=9.6e-6, piece="candidate (1,000,000 in 9.6 s)", hardware="1 CPU core",
    source="docs/performance.md", low=0.7, high=2.0, on_cpu=True,
)  # fmt: skip

BYTES_PER_PIXEL = 1.6  # of a lossless picture; the desk's PNGs have 1.7, and no more than that is known of large ones
PICTURE_COPIES = 3  # work store, DVC's cache, workspace; 2 where the disk can link
