"""What is wrong before a run starts: params, models, the machine. Nothing is run, fetched or changed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from synthpairs.arms import Arm, CodeArm
from synthpairs.artwork.world import Art, World
from synthpairs.benchmarks.params import Benchmark, Tasks
from synthpairs.captions.params import CaptionParams
from synthpairs.curves.params import Curves
from synthpairs.diversity.params import Diversity, PackagedEncoder
from synthpairs.embeddings.mixing import Mixing
from synthpairs.embeddings.params import Embed
from synthpairs.gallery.params import Gallery
from synthpairs.images.params import Images
from synthpairs.invention.params import Invent
from synthpairs.language.params import GgufSource
from synthpairs.packages import pinned
from synthpairs.params import load_params
from synthpairs.realpairs.params import Pairs
from synthpairs.report.params import Report
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Resampler, Vlm
from synthpairs.vlm.training import Training

SECTIONS: dict[str, Any] = {
    "world": World, "art": Art, "language_model": GgufSource, "sentence_encoder": PackagedEncoder,
    "captions": CaptionParams, "invent": Invent, "pairs": Pairs, "images": Images, "embed": Embed, "scores": Scores,
    "select": Select, "diversity": Diversity, "tasks": Tasks, "arms": list[Arm], "vlm": Vlm, "align": Align,
    "finetune": Finetune, "code_arms": list[CodeArm], "resampler": Resampler, "mixing": Mixing, "align_codes": Training,
    "finetune_codes": Finetune, "curves": Curves, "benchmark": Benchmark, "report": Report, "gallery": Gallery,
}  # fmt: skip
MADE = ("models/llm", "models/sentence")  # by stages of the pipeline, so they may be missing
MEMORY, DISK = 8, 3  # GiB that the desk scale takes: peak of a training; data, models and cache


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `fault` is None where all is well."""

    what: str
    fault: str | None = None


def examine() -> list[Finding]:
    """Look at everything, in the working directory; a check that cannot be done is a finding with its error."""
    found: list[Finding] = []
    for check in (_params, _models, _packages, _versioned, _machine):
        try:
            found += check()
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            found.append(Finding(check.__name__.strip("_"), " ".join(str(error).split())))
    return found


def _params() -> Iterator[Finding]:
    """Every section by its own dataclass, and none beside them."""
    unknown = sorted(set(YAML(typ="safe").load(Path("params.yaml"))) - set(SECTIONS))
    if unknown:
        yield Finding(f"params.yaml: {', '.join(unknown)}", "no stage reads it: is the name misspelt?")
    faults = 0
    for section, kind in SECTIONS.items():
        try:
            load_params(kind, section)
        except ValueError as error:
            faults += 1
            yield Finding(f"params.yaml: {section}", str(error))
    if not faults:
        yield Finding(f"params.yaml: {len(SECTIONS)} sections can be read")


def _models() -> Iterator[Finding]:
    """Directories that params name must be there, unless a stage makes them; hub models are only told."""
    images, embed, scores = load_params(Images, "images"), load_params(Embed, "embed"), load_params(Scores, "scores")
    captions, vlm, pairs = load_params(CaptionParams, "captions"), load_params(Vlm, "vlm"), load_params(Pairs, "pairs")
    named = {
        "images.generator": images.generator,
        "embed.generator": embed.generator,
        "pairs.tokenizer": pairs.tokenizer,
        "resampler.tokenizer": load_params(Resampler, "resampler").tokenizer,
        "scores.clip": scores.clip,
        "captions.clip": captions.clip,
        "captions.llm": captions.llm,
        "captions.perplexity.kenlm": captions.perplexity.kenlm if captions.perplexity.engine == "kenlm" else None,
        "captions.blip.model": captions.blip.model if captions.blip else None,
        "vlm.eye": vlm.eye,
        "vlm.llm": vlm.llm,
        "vlm.adapter": vlm.adapter,
        "diversity.encoder": load_params(Diversity, "diversity").encoder,
    }
    for key, name in named.items():
        if name is None or name in MADE:
            continue
        path = Path(name.removeprefix("local-dir:"))
        if path.is_dir():
            yield Finding(f"{key}: {name}")
        elif "@" in name or key.endswith(".clip"):
            yield Finding(f"{key}: {name}, to be fetched from its hub")
        else:
            yield Finding(f"{key}: {name}", "is no directory: check it out of git, or name OWNER/NAME@REVISION")


def _packages() -> Iterator[Finding]:
    yield Finding(
        f"packages.lock.yaml: {sum(len(pinned(part)) for part in ('artwork', 'names', 'models'))} packages are pinned"
    )


def _versioned() -> Iterator[Finding]:
    """Git and DVC, without which nothing is versioned."""
    inside = subprocess.run(["git", "rev-parse", "--is-inside-work-tree"], capture_output=True, check=False)
    yield Finding(
        "git repository", None if inside.returncode == 0 else "there is none: `git init`, or clone the project"
    )
    yield Finding("DVC", None if Path(".dvc").is_dir() else "`.dvc` is missing: `dvc init`")


def _machine() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 2**30
    yield Finding(
        f"disk: {free:.0f} GiB free", None if free >= DISK else f"data, models and cache take {DISK} GiB at desk scale"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    short = memory < MEMORY - 0.5  # what the kernel keeps is not counted
    yield Finding(f"memory: {memory:.0f} GiB", f"a desk training takes up to {MEMORY} GiB" if short else None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield Finding(f"cores: {cores}; accelerators: {', '.join(devices) or 'none, everything runs on the CPU'}")
