"""What a rate is, and how fast GPUs are beside each other; the tables are in desk_rates.py and gpu_rates.py.

`low` and `high` are the factors between which the truth is expected to lie. Sources are public measurements, this project's
own (README.md, docs/performance.md), a derivation that is spelled out, or a guess that calls itself one.
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
    reference: float = 1.0  # size that the rate was measured at: pixels of a picture, or parameters of a language model
    on_cpu: bool = False  # no GPU makes it faster
    alone: bool = False  # one process with one GPU does it, however many there are


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

_CORE = "1 CPU core"

# What takes as long on every machine: one process on one core, or a process for each core that is there.
ANYWHERE = {
    "captions.rules": Rate(
        seconds=2.14e-4, piece="caption: rules and duplicates (1,000,000 in 214 s)", hardware=_CORE,
        source="measured: docs/paper-scale.md", low=0.4, high=2.0, on_cpu=True, alone=True,
    ),
    "captions.kenlm": Rate(
        seconds=5e-5, piece="caption, 5-gram model", hardware=_CORE,
        source="measured: 5.5e-6 for 12 word pieces and tables of 0.4 GB; Wikipedia's are ten times as large, taken as ten "
        "times as slow (a guess)",
        low=0.1, high=4.0, on_cpu=True, alone=True,
    ),
    "captions.originals": Rate(
        seconds=0.042, piece="picture of 384 pixels: made from the source's, opened again for CLIP", hardware=_CORE,
        source="measured: 31 to 43 ms to make it, 4.5 to open it and to cut it for CLIP", low=0.7, high=2.0,
        reference=384**2, on_cpu=True, alone=True,
    ),
    "select": Rate(
        seconds=9.6e-6, piece="candidate (1,000,000 in 9.6 s)", hardware=_CORE,
        source="docs/performance.md", low=0.7, high=2.0, on_cpu=True, alone=True,
    ),
    "audit.text": Rate(
        seconds=0.6, piece="picture of 1024 pixels, text looked for", hardware=_CORE,
        source="measured: 0.6 with text in it (params.yaml), 0.3 without", low=0.5, high=2.0, reference=1024**2,
        on_cpu=True, alone=True,
    ),
}  # fmt: skip

REFINER_STEP = 1.08  # of SDXL's refiner, beside its base's: 7.29 and 6.76 TFLOP at 1024 pixels, counted by torch
BYTES_PER_PIXEL = 1.6  # of a lossless picture; the desk's PNGs have 1.7, and no more than that is known of large ones
PICTURE_COPIES = 3  # work store, DVC's cache, workspace; 2 where the disk can link
