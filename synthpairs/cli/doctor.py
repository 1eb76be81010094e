"""What is wrong before a run starts: params, models, the machine. Nothing is run, fetched or changed."""

import os
import re
import shutil
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
from synthpairs.core.arms import Arm, CodeArm
from synthpairs.core.config import PARAMS, convert, convert_section, messages, read_mapping
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
    params: dict[str, Any] = {}
    try:
        params = read_mapping()
        findings = list(_sections(params))
    except (ValueError, OSError) as error:
        findings = _faults(str(PARAMS), error)
    sound = not any(finding.fault for finding in findings)
    parts: dict[str, Callable[[], Iterable[Finding]]] = {
        "sources": partial(_sources, params), "models": partial(_models, params), "engine": _engine,
        "machine": partial(_machine, params, sound),
    }  # fmt: skip
    for name, part in parts.items():
        try:
            findings += part()
        except (ValueError, OSError) as error:
            findings += _faults(name, error)
    return findings


def _faults(what: str, error: Exception) -> list[Finding]:
    return [Finding(what, message) for message in messages(error)]


def _sections(params: dict[str, Any]) -> Iterator[Finding]:
    """Every section by its own dataclass, with the package that a training wants, and none beside them."""
    unknown = [name for name in params if name not in SECTIONS]
    faults = [Finding(f"{PARAMS}: {name}", "no stage reads it: is the name misspelt?") for name in unknown]
    for section, kind in SECTIONS.items():
        try:
            value = convert_section(kind, section, params)
            if isinstance(value, Finetune) and value.lora:
                check_quantizer(value.lora, section)
        except ValueError as error:
            faults += _faults(f"{PARAMS}: {section}", error)
    yield from faults or [Finding(f"{PARAMS}: {len(SECTIONS)} sections can be read")]


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


def _models(params: dict[str, Any]) -> Iterator[Finding]:
    """Models that params name: directories must be there with weights, unless a stage makes them; hub models reachable."""
    for keys, name in _strings(params, ()):
        if name in MADE or not (keys[-1] in MODELS or _HUB.fullmatch(name)):
            continue
        what, path = f"{'.'.join(keys)}: {name}", Path(name.removeprefix("local-dir:"))
        if path.is_dir():
            empty = not any(path.rglob("*.safetensors"))
            yield Finding(what, "holds no *.safetensors: are its files checked out or fetched?" if empty else None)
        elif _HUB.fullmatch(name) or (keys[-1] == "clip" and not name.startswith("local-dir:")):
            yield Finding(f"{what}, to be fetched from its hub", _unreachable(name))
        else:
            yield Finding(what, "is no directory: check it out of git, or name OWNER/NAME@REVISION")


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
    """Why a hub model cannot be had where HF_HUB_OFFLINE forbids to fetch it; of open_clip's names only loading says so."""
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


def _engine() -> Iterator[Finding]:
    """How work is to be run; whether a Ray cluster answers is not asked."""
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
    if sound and any(source["limit"] is None for source in params["captions"]["sources"]):
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
    full = f"data, models and cache take about {room:,.0f} GiB" if free < room else None
    yield Finding(f"disk: {free:.0f} GiB free", full)
    short = total_memory < main - 0.5  # what the kernel keeps is not counted
    yield Finding(f"memory: {total_memory:.0f} GiB", f"about {main:,.0f} GiB are needed" if short else None)
    if large and not devices:
        days = total(rows).seconds / 3600 / 24
        yield Finding(f"images.side: {run.side}", f"no GPU can be seen; an A100 would take some {days:,.0f} days")
