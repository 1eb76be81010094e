"""What is wrong before a run starts: params, models, the machine. Nothing is run, fetched or changed."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

from synthpairs.arms import Arm, CodeArm
from synthpairs.artwork.world import Art, World
from synthpairs.audit.params import Audit
from synthpairs.benchmarks.params import Benchmark, Tasks
from synthpairs.benchmarks.suite_params import Suite
from synthpairs.captions.params import CaptionParams
from synthpairs.curves.params import Curves
from synthpairs.distributions.params import Distributions
from synthpairs.diversity.params import Diversity, PackagedEncoder
from synthpairs.embeddings.mixing import Mixing
from synthpairs.embeddings.params import Embed
from synthpairs.execution.engine import load_engine
from synthpairs.execution.hire import check
from synthpairs.gallery.params import Gallery
from synthpairs.images.params import Images
from synthpairs.inference import compute_dtype
from synthpairs.invention.params import Invent
from synthpairs.language.params import GgufSource
from synthpairs.packages import pinned
from synthpairs.params import load_params
from synthpairs.perplexity.params import Perplexity
from synthpairs.planning.costs import GIB, Machine, disk, estimates, hours, memory, together
from synthpairs.planning.rates import CPU
from synthpairs.planning.work import DESK_SIDE, read_work
from synthpairs.preference.params import Preference
from synthpairs.presets import FOLDER, leaves
from synthpairs.realpairs.params import Pairs
from synthpairs.repaints.params import Repaints
from synthpairs.repeats.params import Repeats
from synthpairs.report.params import Report
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.studies.params import Studies
from synthpairs.vlm.adapters import check_quantizer
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Resampler, Vlm
from synthpairs.vlm.training import Training

SECTIONS: dict[str, Any] = {
    "world": World, "art": Art, "language_model": GgufSource, "sentence_encoder": PackagedEncoder,
    "captions": CaptionParams, "invent": Invent, "pairs": Pairs, "images": Images, "embed": Embed, "scores": Scores,
    "select": Select, "audit": Audit, "diversity": Diversity, "tasks": Tasks, "arms": list[Arm], "vlm": Vlm, "align": Align,
    "finetune": Finetune, "code_arms": list[CodeArm], "resampler": Resampler, "mixing": Mixing, "align_codes": Training,
    "finetune_codes": Finetune, "curves": Curves, "studies": Studies, "repeats": Repeats, "repaints": Repaints,
    "benchmark": Benchmark, "suite": Suite,
    "distributions": Distributions, "perplexity": Perplexity, "preference": Preference, "report": Report, "gallery": Gallery,
}  # fmt: skip
MADE = ("models/llm", "models/sentence")  # by stages of the pipeline, so they may be missing
MODELS = ("generator", "tokenizer", "clip", "llm", "eye", "adapter", "encoder")  # keys whose values are models
HALF, BRAIN = ("float16", "fp16"), ("bfloat16", "bf16")
_HUB = re.compile(r"[\w.-]+/[\w.-]+@[\w./-]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `fault` is None where a run can begin; `warning` is what it will suffer from."""

    what: str
    fault: str | None = None
    warning: str | None = None


def examine() -> list[Finding]:
    """Look at everything, in the working directory; a check that cannot be done is a finding with its error."""
    found: list[Finding] = []
    for look in (_params, _presets, _models, _packages, _versioned, _engine, _machine):
        try:
            found += look()
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            found.append(Finding(look.__name__.strip("_"), " ".join(str(error).split())))
    return found


def _params() -> Iterator[Finding]:
    """Every section by its own dataclass, with the package that a training wants, and none beside them."""
    unknown = sorted(set(YAML(typ="safe").load(Path("params.yaml"))) - set(SECTIONS))
    if unknown:
        yield Finding(f"params.yaml: {', '.join(unknown)}", "no stage reads it: is the name misspelt?")
    faults = 0
    for section, kind in SECTIONS.items():
        try:
            value = load_params(kind, section)
            if isinstance(value, Finetune) and value.lora:
                check_quantizer(value.lora, section)
        except ValueError as error:
            faults += 1
            yield Finding(f"params.yaml: {section}", str(error))
    if not faults:
        yield Finding(f"params.yaml: {len(SECTIONS)} sections can be read")


def _presets() -> Iterator[Finding]:
    """Every preset must fit params.yaml, and what comes of it must be allowed."""
    for preset in sorted(FOLDER.glob("*.yaml")):
        document = YAML(typ="safe").load(Path("params.yaml"))
        fault = None
        try:
            overlay = leaves(preset.stem, document)
            for keys, value in overlay:
                place = document
                for key in keys[:-1]:
                    place = place[key]
                place[keys[-1]] = value
            with tempfile.TemporaryDirectory() as folder:
                merged = Path(folder) / preset.name
                merged.write_text(json.dumps(document))  # which is YAML too
                for section in sorted({keys[0] for keys, _ in overlay} & set(SECTIONS)):
                    load_params(SECTIONS[section], section, merged)
        except ValueError as error:
            fault = re.sub(rf"\S*{re.escape(preset.name)}", str(preset), str(error))
        yield Finding(f"{preset}: a preset", fault)


def _models() -> Iterator[Finding]:
    """Models that params name: directories must be there with weights, unless a stage makes them; hub models reachable."""
    for keys, name in _strings(YAML(typ="safe").load(Path("params.yaml")), ()):
        if name in MADE or not (keys[-1] in MODELS or _HUB.fullmatch(name)):
            continue
        key, path = ".".join(keys), Path(name.removeprefix("local-dir:"))
        if path.is_dir():
            weights = next(path.rglob("*.safetensors"), None)
            yield Finding(
                f"{key}: {name}", None if weights else "holds no *.safetensors: are its files checked out or fetched?"
            )
        elif _HUB.fullmatch(name) or (keys[-1] == "clip" and not name.startswith("local-dir:")):
            yield Finding(f"{key}: {name}, to be fetched from its hub", _unreachable(name))
        else:
            yield Finding(f"{key}: {name}", "is no directory: check it out of git, or name OWNER/NAME@REVISION")


def _strings(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in nested mappings and lists with the keys that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*keys, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, keys)
    elif isinstance(value, str):
        yield keys, value


def _unreachable(name: str) -> str | None:
    """Why a hub model cannot be had where HF_HUB_OFFLINE forbids to fetch it; open_clip's names are told by their loading."""
    from huggingface_hub import constants

    if not constants.is_offline_mode() or not _HUB.fullmatch(name):
        return None
    model, _, revision = name.partition("@")
    folder = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    if (folder / "refs" / revision).exists() or (folder / "snapshots" / revision).is_dir():
        return None
    return (
        f"HF_HUB_OFFLINE is set, and {folder} does not hold it: fetch it where there is a network, or name a directory"
    )


def _packages() -> Iterator[Finding]:
    yield Finding(
        f"packages.lock.yaml: {sum(len(pinned(part)) for part in ('artwork', 'names', 'texts', 'models'))} packages are pinned"
    )


def _versioned() -> Iterator[Finding]:
    """Git and DVC, without which nothing is versioned."""
    inside = subprocess.run(["git", "rev-parse", "--is-inside-work-tree"], capture_output=True, check=False)
    yield Finding(
        "git repository", None if inside.returncode == 0 else "there is none: `git init`, or clone the project"
    )
    yield Finding("DVC", None if Path(".dvc").is_dir() else "`.dvc` is missing: `dvc init`")


def _engine() -> Iterator[Finding]:
    """How work is to be run; whether a Ray cluster answers is only found out by asking it."""
    engine = load_engine()
    check(engine)
    who = {None: "as many workers as fit", 0: "this process"}.get(engine.workers, f"{engine.workers} workers")
    yield Finding(f"engine: {engine.kind}, {who}" + (f", cluster at {engine.address}" if engine.address else ""))


def _machine() -> Iterator[Finding]:
    """Disk, memory and devices against what `python -m synthpairs plan` says that the params take."""
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(f"cores: {cores}; accelerators: {', '.join(devices) or 'none, everything runs on the CPU'}")
    if not devices:
        slow_types = HALF if compute_dtype() == torch.bfloat16 else (*HALF, *BRAIN)
        for keys, value in _strings(YAML(typ="safe").load(Path("params.yaml")), ()):
            if keys[-1] in ("dtype", "precision") and value in slow_types:
                slow = "this CPU takes many times longer in it than in float32, or lacks the operation"
                yield Finding(f"{'.'.join(keys)}: {value}", warning=slow)
    free = shutil.disk_usage(".").free / GIB
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    work = read_work(Path("params.yaml"), None, Path("data"))
    large = work.side > DESK_SIDE
    machine = Machine(gpu="A100" if large else CPU, gpus=max(1, len(devices)) if large else 1, price=None)
    found = estimates(work.loads, machine, {})
    room, main = disk(found) / GIB, memory(work, machine) / GIB
    yield Finding(
        f"disk: {free:.0f} GiB free", f"data, models and cache take about {room:,.0f} GiB" if free < room else None
    )
    short = total < main - 0.5  # what the kernel keeps is not counted
    yield Finding(f"memory: {total:.0f} GiB", f"about {main:,.0f} GiB are needed" if short else None)
    if large and not devices:
        days = hours(together(found).seconds, 0, 1) / 24
        yield Finding(f"images.side: {work.side}", f"no GPU can be seen; an A100 would take some {days:,.0f} days")
