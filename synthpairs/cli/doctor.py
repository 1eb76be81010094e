"""What is wrong before a run starts: params, models, the machine. Nothing is run, fetched or changed."""

import copy
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from synthpairs.captions.class_prompting.params import Invent
from synthpairs.captions.params import CaptionParams, Source
from synthpairs.captions.readers.read import check_source
from synthpairs.captions.readers.rows import files_of
from synthpairs.cli.estimate.estimate import GIB, Machine, disk, estimate, memory, total
from synthpairs.cli.estimate.rates import CPU
from synthpairs.cli.estimate.work import read_run
from synthpairs.cli.presets import FOLDER, leaves
from synthpairs.core.arms import Arm, CodeArm
from synthpairs.core.assets import pinned
from synthpairs.core.config import PARAMS, convert, convert_section, load_params, messages, read_mapping
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.emoji.world import Art, World
from synthpairs.evaluation.benchmarks.params import Benchmark, Suite
from synthpairs.evaluation.contamination.params import Audit
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Experiments
from synthpairs.generation.diffusion.params import Images
from synthpairs.generation.masked.mixing import Mixing
from synthpairs.generation.masked.params import Embed
from synthpairs.generation.vq_pairs.params import Pairs
from synthpairs.models.language.params import GgufSource
from synthpairs.models.sentence_weights import PackagedEncoder
from synthpairs.report.comparison.revisions import git
from synthpairs.report.gallery.params import Gallery
from synthpairs.report.params import Report
from synthpairs.runtime.engine.engine import load_engine
from synthpairs.runtime.engine.hire import check
from synthpairs.runtime.workers import usable_cores
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select
from synthpairs.vlm.adapters import check_quantizer
from synthpairs.vlm.params import Align, Finetune, Resampler, Training, Vlm

SECTIONS: dict[str, Any] = {
    "world": World, "art": Art, "language_model": GgufSource, "sentence_encoder": PackagedEncoder,
    "captions": CaptionParams, "invent": Invent, "pairs": Pairs, "images": Images, "embed": Embed, "scores": Scores,
    "select": Select, "audit": Audit, "diversity": Diversity, "tasks": Tasks, "arms": list[Arm], "vlm": Vlm, "align": Align,
    "finetune": Finetune, "code_arms": list[CodeArm], "resampler": Resampler, "mixing": Mixing, "align_codes": Training,
    "finetune_codes": Finetune, "experiments": Experiments, "benchmark": Benchmark, "suite": Suite,
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
    """Look at everything, in the working directory: one finding for each fault; what depends on faulty params waits."""
    findings: list[Finding] = []
    params: dict[str, Any] = {}
    sound: set[str] = set()  # sections
    try:
        params = read_mapping()
    except (ValueError, OSError) as error:
        findings += _faults(str(PARAMS), error)
    else:
        findings += _sections(params, sound)
    parts: list[Callable[[], Iterable[Finding]]] = [
        partial(_sources, params), partial(_presets, params, sound), partial(_models, params), _packages, _versioned, _engine,
        partial(_machine, params, len(sound) == len(SECTIONS)),
    ]  # fmt: skip
    for part in parts:
        try:
            findings += part()
        except (ValueError, OSError, subprocess.SubprocessError) as error:
            findings += _faults(getattr(part, "func", part).__name__.strip("_"), error)
    return findings


def _faults(what: str, error: Exception) -> list[Finding]:
    return [Finding(what, message) for message in messages(error)]


def _sections(params: dict[str, Any], sound: set[str]) -> Iterator[Finding]:
    """Every section by its own dataclass, with the package that a training wants, and none beside them; fills `sound`."""
    for unknown in params:
        if unknown not in SECTIONS:
            yield Finding(f"{PARAMS}: {unknown}", "no stage reads it: is the name misspelt?")
    for section, kind in SECTIONS.items():
        try:
            value = convert_section(kind, section, params)
            if isinstance(value, Finetune) and value.lora:
                check_quantizer(value.lora, section)
            sound.add(section)
        except ValueError as error:
            yield from _faults(f"{PARAMS}: {section}", error)
    if len(sound) == len(SECTIONS):
        yield Finding(f"{PARAMS}: {len(SECTIONS)} sections can be read")


def _sources(params: dict[str, Any]) -> Iterator[Finding]:
    """Files and folders of pictures of every entry of captions.sources that can be read."""
    section = params.get("captions")
    entries = section.get("sources") if isinstance(section, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        key = f"{PARAMS}: captions.sources[{index}]"
        try:
            source = convert(Source, entry, key)
        except ValueError:
            continue  # a finding about the section
        faults = []
        for look in (check_source, files_of):
            try:
                look(source, key)
            except (ValueError, OSError) as error:
                faults += _faults(f"captions.sources: {source.name}", error)
        yield from faults or [Finding(f"captions.sources: {source.name}, {source.path}")]


def _presets(params: dict[str, Any], sound: set[str]) -> Iterator[Finding]:
    """Every preset must fit params.yaml, and what comes of it must be allowed; sections that are not sound are left out."""
    for preset in sorted(FOLDER.glob("*.yaml")):
        document = {section: copy.deepcopy(params[section]) if section in sound else None for section in SECTIONS}
        faults = []
        try:
            overlay = leaves(preset.stem, document)
        except (ValueError, OSError) as error:
            yield from _faults(f"{preset}: a preset", error)
            continue
        for (*parts, last), value in overlay:
            place: Any = document
            for key in parts:
                place = place[key]
            place[last] = value
        for section in sorted({keys[0] for keys, _ in overlay} & sound):
            try:
                convert_section(SECTIONS[section], section, document, preset)
            except ValueError as error:
                faults += _faults(f"{preset}: a preset", error)
        yield from faults or [Finding(f"{preset}: a preset")]


def _models(params: dict[str, Any]) -> Iterator[Finding]:
    """Models that params name: directories must be there with weights, unless a stage makes them; hub models reachable."""
    for keys, name in _strings(params, ()):
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
    try:
        git("rev-parse", "--git-dir")
        yield Finding("git repository")
    except OSError as error:
        missing = not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents))
        yield Finding("git repository", f"{error}{'; `git init`, or clone the project' if missing else ''}")
    yield Finding("DVC", None if Path(".dvc").is_dir() else "`.dvc` is missing: `dvc init`")


def _engine() -> Iterator[Finding]:
    """How work is to be run; whether a Ray cluster answers is only found out by asking it."""
    engine = load_engine()
    check(engine)
    who = {None: "as many workers as fit", 0: "this process"}.get(engine.workers, f"{engine.workers} workers")
    yield Finding(f"engine: {engine.kind}, {who}" + (f", cluster at {engine.address}" if engine.address else ""))


def _machine(params: dict[str, Any], sound: bool) -> Iterator[Finding]:
    """Disk, memory and devices against what `python -m synthpairs plan` says that the params take, if they are sound."""
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield Finding(f"cores: {usable_cores()}; accelerators: {', '.join(devices) or 'none, everything runs on the CPU'}")
    if not devices:
        known = torch.cpu.get_capabilities()
        slow_types = HALF if known.get("avx512_bf16") or known.get("amx_bf16") else (*HALF, *BRAIN)
        for keys, value in _strings(params, ()):
            if keys[-1] in ("dtype", "precision") and value in slow_types:
                slow = "this CPU takes many times longer in it than in float32, or lacks the operation"
                yield Finding(f"{'.'.join(keys)}: {value}", warning=slow)
    free = shutil.disk_usage(".").free / GIB
    total_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    unknown = None if sound else f"what a run takes can be said once {PARAMS} is mended"
    if sound and any(source.limit is None for source in load_params(CaptionParams, "captions").sources):
        unknown = (
            "captions.sources has no limit somewhere: `python -m synthpairs plan --captions N` says what a run takes"
        )
    if unknown:
        yield Finding(f"disk: {free:.0f} GiB free; memory: {total_memory:.0f} GiB", warning=unknown)
        return
    run = read_run(None)
    large = run.device != CPU
    machine = Machine(gpu=run.device, gpus=max(1, len(devices)) if large else 1)
    rows = estimate(run, machine)
    room, main = disk(rows) / GIB, memory(run, machine) / GIB
    yield Finding(
        f"disk: {free:.0f} GiB free", f"data, models and cache take about {room:,.0f} GiB" if free < room else None
    )
    short = total_memory < main - 0.5  # what the kernel keeps is not counted
    yield Finding(f"memory: {total_memory:.0f} GiB", f"about {main:,.0f} GiB are needed" if short else None)
    if large and not devices:
        days = total(rows).seconds / 3600 / 24
        yield Finding(f"images.side: {run.side}", f"no GPU can be seen; an A100 would take some {days:,.0f} days")
