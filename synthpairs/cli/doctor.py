"""Checks before a run: params, models, files, packages and the machine. Nothing is run, downloaded or changed."""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from synthpairs.captions.class_prompting.params import ClassCaptions
from synthpairs.captions.params import CaptionParams, Source
from synthpairs.captions.readers.read import check_source
from synthpairs.captions.readers.rows import source_files
from synthpairs.cli.estimate.estimate import GIB, Estimate, Machine, disk, estimate, memory, total
from synthpairs.cli.estimate.rates import CPU
from synthpairs.cli.estimate.work import read_run
from synthpairs.core.arms import Arm, TokenArm
from synthpairs.core.config import PARAMS, convert, convert_section, messages, read_mapping
from synthpairs.emoji.params import EmojiDrawings, EmojiWorld
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks
from synthpairs.evaluation.contamination.measures import TextReader
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.diversity.params import Diversity
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Experiments
from synthpairs.generation.diffusion.params import Images
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.clip import check_clip
from synthpairs.models.hub import no_safetensors, unavailable
from synthpairs.models.language.kenlm import kenlm_folder, kenlm_package
from synthpairs.models.language.params import GgufSource
from synthpairs.models.language.server import Server
from synthpairs.models.sentence_weights import PackagedEncoder
from synthpairs.report.gallery.params import Gallery
from synthpairs.report.params import Report
from synthpairs.runtime.dvc_files import damaged_dvc_files
from synthpairs.runtime.engine.worker_pool import check as check_engine
from synthpairs.runtime.settings import load_runtime
from synthpairs.runtime.workers import usable_cores
from synthpairs.scoring.params import Scores
from synthpairs.selection.mixing import Mixing
from synthpairs.selection.params import Select
from synthpairs.vlm.adapters import check_quantizer
from synthpairs.vlm.conversations import check_instructions
from synthpairs.vlm.params import Finetune, Pretrain, Resampler, Training, Vlm

SECTIONS: dict[str, Any] = {
    "world": EmojiWorld, "emoji": EmojiDrawings, "language_model": GgufSource, "sentence_encoder": PackagedEncoder,
    "captions": CaptionParams, "class_captions": ClassCaptions, "encode_real_pairs": RealPairs, "images": Images,
    "generate_tokens": GenerateTokens, "scores": Scores, "select": Select, "contamination": Contamination,
    "diversity": Diversity, "tasks": Tasks, "arms": list[Arm], "vlm": Vlm, "pretrain": Pretrain,
    "finetune": Finetune, "token_arms": list[TokenArm], "resampler": Resampler, "mixing": Mixing, "pretrain_tokens": Training,
    "finetune_tokens": Finetune, "experiments": Experiments, "benchmark": Benchmark, "external_benchmarks": ExternalBenchmarks,
    "distributions": Distributions, "perplexity": Perplexity, "preference": Preference, "report": Report, "gallery": Gallery,
}  # fmt: skip
MADE = ("models/llm", "models/sentence")  # by stages, so they may be missing
MODELS = ("generator", "tokenizer", "clip", "llm", "vision_tower", "adapter", "encoder")  # keys whose values are models
FLOAT16, BFLOAT16 = ("float16", "fp16"), ("bfloat16", "bf16")
# Sections that trainings alone read, by the list of their arms.
TRAININGS = {
    "arms": ("pretrain", "finetune"),
    "token_arms": ("resampler", "mixing", "pretrain_tokens", "finetune_tokens"),
}
KENLM = "captions.perplexity.kenlm"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+@[\w./-]+")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: a run needs `error` to be None; a `warning` does not stop it."""

    subject: str
    error: str | None = None
    warning: str | None = None


def check_all() -> list[Check]:
    """All checks in the working directory, one for each error; what depends on valid params needs those."""
    params: dict[str, Any] = {}
    try:
        params = read_mapping()
        checks = list(_sections(params))
    except (ValueError, OSError) as error:
        checks = _errors(str(PARAMS), error)
    valid = not any(check.error for check in checks)
    parts: dict[str, Callable[[], Iterable[Check]]] = {
        "DVC": partial(_dvc_files, params),
        "sources": partial(_sources, params), "models": partial(_models, params), "needs": partial(_needs, params, valid),
        "engine": _engine, "machine": partial(_machine, params, valid),
    }  # fmt: skip
    for name, part in parts.items():
        try:
            checks += part()
        except (ValueError, OSError) as error:
            checks += _errors(name, error)
    return checks


def _errors(subject: str, error: Exception) -> list[Check]:
    return [Check(subject, message) for message in messages(error)]


def _sections(params: dict[str, Any]) -> Iterator[Check]:
    """Every section by its dataclass, and no others."""
    errors = [
        Check(f"{PARAMS}: {name}", "no stage reads it: is it misspelt?") for name in params if name not in SECTIONS
    ]
    for section, kind in SECTIONS.items():
        try:
            convert_section(kind, section, params)
        except ValueError as error:
            errors += _errors(f"{PARAMS}: {section}", error)
    yield from errors or [Check(f"{PARAMS}: {len(SECTIONS)} sections are valid")]


def _read(params: dict[str, Any]) -> dict[str, Any]:
    """The sections that stages read: without arms nothing is trained."""
    unread = {section for arms, sections in TRAININGS.items() if not params.get(arms) for section in sections}
    return {section: value for section, value in params.items() if section not in unread}


def _dvc_files(params: dict[str, Any]) -> Iterator[Check]:
    for line in damaged_dvc_files(params, Path("dvc.yaml"), *sorted(Path().glob("*/dvc.yaml"))):
        subject, _, error = line.partition(": ")
        yield Check(subject, error)


def _sources(params: dict[str, Any]) -> Iterator[Check]:
    """Files and image folders of every valid entry of captions.sources."""
    section = params.get("captions")
    entries = section.get("sources") if isinstance(section, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        key = f"{PARAMS}: captions.sources[{index}]"
        try:
            source = convert(Source, entry, key)
        except ValueError:
            continue  # an error of the section
        errors = []
        for check in (check_source, source_files):
            try:
                check(source, key)
            except (ValueError, OSError) as error:
                errors += _errors(f"captions.sources: {source.name}", error)
        yield from errors or [Check(f"captions.sources: {source.name}, {source.path}")]


def _models(params: dict[str, Any]) -> Iterator[Check]:
    """Models named in params: directories must hold weights, unless a stage makes them; hub models must be available."""
    hub: dict[str, list[str]] = {}
    strings = list(_strings(_read(params), ()))
    pretrained = {keys[:-1]: name for keys, name in strings if keys[-1] == "pretrained"}
    for keys, name in strings:
        if not (keys[-1] in MODELS or HUB_NAME.fullmatch(name)):
            continue
        if name in MADE:
            yield Check(f"{'.'.join(keys)}: {name}, made by a stage of `dvc repro`")
            continue
        subject, path = f"{'.'.join(keys)}: {name}", Path(name.removeprefix("local-dir:"))
        if HUB_NAME.fullmatch(name):
            hub.setdefault(name, []).append(".".join(keys))
        elif path.is_dir():
            empty = not any(path.rglob("*.safetensors"))
            yield Check(subject, no_safetensors(str(path)) if empty else None)
        elif keys[-1] == "clip" and not name.startswith("local-dir:"):
            yield from _tried(subject, partial(check_clip, ".".join(keys[:-1]), name, pretrained.get(keys[:-1])))
        else:
            yield Check(
                subject,
                "is not a directory: check it out of git, name OWNER/NAME@REVISION, or, where that has pickles alone, run "
                f"`python -m synthpairs safetensors OWNER/NAME@REVISION {path}`",
            )
    yield from _hub_models(hub)


def _tried(subject: str, check: Callable[[], object]) -> Iterator[Check]:
    """A check that raises its errors."""
    try:
        check()
    except (ValueError, OSError) as error:
        yield from _errors(subject, error)
    else:
        yield Check(subject)


def _strings(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string in nested mappings and lists, with its keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*keys, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, keys)
    elif isinstance(value, str):
        yield keys, value


def _hub_models(named: dict[str, list[str]]) -> Iterator[Check]:
    """Hub models by name, with their params: in the cache if HF_HUB_OFFLINE is set, else the hub is asked about their files."""
    names = list(named)
    for index, name in enumerate(names):
        subject = f"{', '.join(named[name])}: {name}, from its hub"
        try:
            yield Check(subject, unavailable(name, ".arpa.bin" if KENLM in named[name] else ".safetensors"))
        except TimeoutError as error:  # the others would wait as long
            yield Check(f"from their hub: {', '.join(names[index:])}", warning=f"not checked: {error}")
            return


def _needs(params: dict[str, Any], valid: bool) -> Iterator[Check]:
    """What valid params need beside models: packages, files, the address of a server."""
    if not valid:
        return
    perplexity = convert_section(CaptionParams, "captions", params).perplexity
    if perplexity.engine == "kenlm":
        yield from _tried("captions.perplexity.engine: kenlm", kenlm_package)
        if not HUB_NAME.fullmatch(perplexity.kenlm):
            yield from _tried(f"{KENLM}: {perplexity.kenlm}", partial(kenlm_folder, perplexity.kenlm, KENLM))
    engines = {"captions.judge": params["captions"]["judge"], "class_captions": params["class_captions"]}
    if {params["preference"]["synthetic"], "real"} <= set(params["arms"]):  # else there is nothing to judge
        engines["preference"] = params["preference"]
    if served := [f"{name}.engine" for name, section in engines.items() if section["engine"] == "server"]:
        yield from _tried(f"{', '.join(served)}: server", Server.from_environment)
    if params["contamination"]["text"]:
        yield from _tried("contamination.text: true", TextReader)
    for section in (name for name in _read(params) if SECTIONS[name] is Finetune):
        finetune = convert_section(Finetune, section, params)
        if finetune.lora:
            yield from _tried(f"{section}.lora", partial(check_quantizer, finetune.lora, section))
        if finetune.instructions:
            yield from _tried(f"{section}.instructions", partial(check_instructions, finetune.instructions, section))
    if "mmvet" in params["external_benchmarks"]["pictures"] and not os.environ.get("OPENAI_API_KEY"):
        judge = "its judge needs OPENAI_API_KEY and MODEL_VERSION; without a reply stage benchmark fails, hours later"
        yield Check("external_benchmarks.pictures: mmvet", warning=judge)


def _engine() -> Iterator[Check]:
    """Settings of the workers; a Ray cluster is not contacted."""
    settings = load_runtime()
    check_engine(settings)
    workers = {None: "as many workers as fit", 0: "this process"}.get(settings.workers, f"{settings.workers} workers")
    cluster = f", cluster at {settings.address}" if settings.address else ""
    yield Check(f"engine: {settings.engine}, {workers}{cluster}")


def _stages(rows: Iterable[Estimate], memory: str, limit: float) -> str:
    """Stages that need more GiB of a kind of memory than the limit, and how many."""
    needs: dict[str, float] = {}
    for row in rows:
        needs[row.stage] = max(needs.get(row.stage, 0), getattr(row, memory) / GIB)
    return ", ".join(f"{stage} {need:,.0f}" for stage, need in needs.items() if need > limit)


def _machine(params: dict[str, Any], valid: bool) -> Iterator[Check]:
    """Disk, memory and devices against what `python -m synthpairs estimate` counts, if the params are valid."""
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield Check(f"cores: {usable_cores()}; accelerators: {', '.join(devices) or 'none, everything runs on the CPU'}")
    if not devices:
        cpu = torch.cpu.get_capabilities()
        slow = FLOAT16 if cpu.get("avx512_bf16") or cpu.get("amx_bf16") else (*FLOAT16, *BFLOAT16)
        for keys, value in _strings(params, ()):
            if keys[-1] in ("dtype", "precision") and value in slow:
                warning = "this CPU takes many times longer in it than in float32, or lacks the operation"
                yield Check(f"{'.'.join(keys)}: {value}", warning=warning)
    free = shutil.disk_usage(".").free / GIB
    total_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    unknown = None
    if not valid:
        unknown = f"needs of a run are not known: correct {PARAMS} first"
    elif any(source["limit"] is None for source in params["captions"]["sources"]):
        unknown = "a source has no limit: `python -m synthpairs estimate --captions N` counts what a run needs"
    if unknown:
        yield Check(f"disk: {free:.0f} GiB free; memory: {total_memory:.0f} GiB", warning=unknown)
        return
    run = read_run(None)
    large = run.device != CPU
    machine = Machine(gpu=run.device, gpus=max(1, len(devices)) if large else 1)
    rows = estimate(run, machine)
    needed, main_memory = disk(rows) / GIB, memory(rows) / GIB
    stages = ", ".join(f"{row.stage} {row.disk / GIB:,.0f}" for row in rows if row.disk >= GIB)
    lacking = ": ".join(filter(None, (f"data, models and cache need about {needed:,.0f} GiB", stages)))
    yield Check(f"disk: {free:.0f} GiB free", lacking if free < needed else None)
    limit = total_memory + 0.5  # what the kernel keeps is not counted
    lacking = ": ".join(filter(None, (f"about {main_memory:,.0f} GiB are needed", _stages(rows, "memory", limit))))
    yield Check(f"memory: {total_memory:.0f} GiB", lacking if main_memory > limit else None)
    if large and devices:
        smallest = min(torch.cuda.get_device_properties(number).total_memory for number in range(len(devices))) / GIB
        lacking = _stages(rows, "gpu_memory", smallest)
        less = f"by calculation stages need more: {lacking}; docs/paper-scale.md says what takes less"
        yield Check(f"GPU memory: {smallest:.0f} GiB", warning=less if lacking else None)
    elif large:
        less = "SYNTHPAIRS_RECOMPUTE and SYNTHPAIRS_FSDP take less"
        yield Check(f"GPU memory, by calculation in GiB: {_stages(rows, 'gpu_memory', 0)}; {less}")
        days = total(rows).seconds / 3600 / 24
        yield Check(
            f"images.image_size: {run.side}", f"there is no GPU; the whole run would take an A100 some {days:,.0f} days"
        )
