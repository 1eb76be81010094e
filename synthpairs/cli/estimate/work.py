"""Work of a run by params.yaml: number of items per stage and rate, and bytes on disk. Does not import torch."""

import math
import mmap
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq

from synthpairs.captions.class_prompting.params import ClassCaptions
from synthpairs.captions.params import CaptionParams
from synthpairs.cli.estimate import memory, rates
from synthpairs.core.arms import Arm, TokenArm
from synthpairs.core.config import PARAMS, convert_section, read_mapping
from synthpairs.emoji.params import EmojiWorld
from synthpairs.emoji.tasks.params import Tasks
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.generation.diffusion.params import Images
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.language.params import GgufSource
from synthpairs.runtime.settings import load_runtime
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Finetune, Pretrain, Training, Vlm

T = TypeVar("T")
DESK_SIDE = 128  # largest image at desk scale, in pixels
DESK_LLM = "models/llm"  # made by stage `language_model`
LLAVA = 7e9  # parameters of its language model, used for disk space where the model's size is not known
MIX_665K = 665_298  # conversations of LLaVA-1.5's instruction mix
# By `class_captions.imagenet.subset`, with the classes of people.
IMAGENET_CLASSES = {
    "imagenet-1k": 1_000, "imagenet-12k": 11_821, "imagenet-21k-miil": 11_221, "imagenet-21k-goog": 21_843, "imagenet-22k": 21_841
}  # fmt: skip
# Questions of lmms-eval's tasks, by its data sets on the hub (huggingface.co/lmms-lab), and of ours with captions.
QUESTIONS = {
    "coco_caption": 5_000, "flickr30k_caption": 1_000,
    "gqa": 12_578, "mmbench_en_dev": 4_329, "mmbench_en_dev_static": 4_329, "mme": 2_374, "mmvet": 218, "pope": 9_000,
    "scienceqa": 4_241, "scienceqa_img": 2_017, "seedbench": 17_990, "vizwiz_vqa_val": 4_319, "vqav2_val": 214_354,
}  # fmt: skip
# Of lm-eval's tasks: subjects (external_benchmarks.limit applies to each), questions, tokens per question with answer (a guess).
TEXTS = {"mmlu": (57, 14_042, 115)}
# Their answers are not just right or wrong.
GRADED = ("coco_caption", "desk_caption", "flickr30k_caption", "mme", "mmvet", "vizwiz_vqa_val", "vqav2_val")


@dataclass(frozen=True, slots=True)
class Work:
    """Items of one rate in one stage."""

    stage: str
    part: str
    rate: str  # key of the tables in rates.py
    count: float
    size: float | None = None  # of an item, in pixels or parameters; None: the rate's reference
    steps: float = 1.0  # of an item, where the rate is one of steps or tokens
    disk: float = 0.0  # bytes that remain
    memory: float = 0.0  # bytes of main memory of one process; 0: less than others, not counted
    gpu_memory: float = 0.0  # bytes of one GPU
    gpu_divided: float = 0.0  # further bytes, which the GPUs divide


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All work that params.yaml asks for, and the assumptions made."""

    captions: int  # kept by curation, or an upper bound
    images: int
    steps: int  # of the sampler
    side: int  # pixels
    generator: str
    arms: list[Arm]
    llm_parameters: float | None  # of the VLM's language model; None: not known
    items: dict[str, int]  # of the benchmarks whose answers are right or wrong
    work: list[Work]
    notes: list[str]

    @property
    def device(self) -> str:
        """Device that the run is meant for: large images need a GPU."""
        return "A100" if self.side > DESK_SIDE else rates.CPU


def read_run(captions: int | None) -> Run:
    """The work that params.yaml asks for; `captions` is the expected number of kept ones, None: as in `data` or the sources.

    ValueError names a key that is missing or wrong, or a source without a limit if `captions` is None.
    """
    document, notes = read_mapping(), list[str]()

    def section(kind: type[T], name: str) -> T:
        return convert_section(kind, name, document)

    curation, images, world = (
        section(CaptionParams, "captions"),
        section(Images, "images"),
        section(EmojiWorld, "world"),
    )
    tasks, arms, llm = section(Tasks, "tasks"), section(list[Arm], "arms"), section(Vlm, "vlm").llm
    size_of = partial(_parameters, section(GgufSource, "language_model").file)
    size = size_of(llm)
    if size is None:
        notes.append(
            f"vlm.llm: the size of {llm} is not known; counted as the model of the rates, on disk as 7B parameters"
        )

    unlimited = [source.name for source in curation.sources if source.limit is None]
    if unlimited and captions is None:
        where = f"{PARAMS}: captions.sources: {unlimited[0]}"
        raise ValueError(f"{where} has no limit, so its captions cannot be counted: give it one, or `--captions N`")
    generated = curation.generated.per_concept * len(world.concepts)
    limits = sum(source.limit or 0 for source in curation.sources)
    read = max(curation.reference.pictures + generated + limits, captions or 0)
    illustrated = [one for one in curation.sources if one.format == "webdataset" or one.columns.image is not None]
    with_image = curation.reference.pictures + sum(source.limit or read for source in illustrated)
    originals = min(with_image, read - generated)
    real = curation.reference.pictures + sum(source.limit or read for source in illustrated if source.name == "human")
    kept, table = captions or read, Path("data/captions/kept.parquet")
    if not captions and table.exists():
        kept = pq.read_metadata(table).num_rows
        notes.append(
            f"captions: as many as {table} has, of the last run, whatever its params; `--captions N` sets another number"
        )
    elif not captions:
        notes.append("captions: all that are read count as kept; `--captions N` sets another number")

    each = min(images.candidates, images.draft.keep) if images.draft else images.candidates
    painted = kept if images.limit is None else min(kept, images.limit // each)  # captions with images
    pairs = min(section(Select, "select").num_pairs, painted * each)
    screened = painted * each + (min(pairs, originals) if "real" in arms else 0)
    external, benchmark = section(ExternalBenchmarks, "external_benchmarks"), section(Benchmark, "benchmark")
    own, by_token = (
        {task: getattr(tasks, task.removeprefix("desk_")) for task in names}
        for names in (benchmark.tasks.pictures, benchmark.tasks.tokens)
    )
    pictures, tokens, texts = _external(external, notes)
    models, token_arms = len(arms) + 1, len(section(list[TokenArm], "token_arms"))  # with the untrained one
    perplexity, parameters = section(Perplexity, "perplexity"), size or LLAVA
    answers, question = (
        {"memory": rates.PROCESS_MEMORY + 2 * parameters, "gpu_memory": memory.answering(parameters, count)}
        for count in (benchmark.batch_size * rates.ANSWER_TOKENS, rates.QUESTION_TOKENS)
    )
    work = [
        *_captions(curation, read, generated, originals, size_of),
        *_images(images, painted, painted * each, pairs, notes),
        *_contamination(section(Contamination, "contamination"), screened, images.image_size**2),
        *_token_route(section, tasks, len(world.concepts), originals, document["mixing"]["draws"], size, size_of),
        *_training(section(Pretrain, "pretrain"), section(Finetune, "finetune"), tasks,
                   [min(real, originals) if arm == "all-real" else pairs for arm in arms], size, notes),
        Work("benchmark", "desk tasks", "benchmark", (models * sum(own.values()) + token_arms * sum(by_token.values())) * 2, size,
             **answers),  # with and without images
        Work("benchmark", "lmms-eval", "benchmark", models * sum(pictures.values()), size, **answers),
        Work("benchmark", "lm-eval, images", "benchmark", token_arms * sum(tokens.values()), size, **question),
        Work("benchmark", "lm-eval", "lm-eval",  # choices are one token each, so a question is read once
             (models + token_arms) * sum(count * TEXTS[task][2] for task, count in texts.items()) * (1 + external.shots), size,
             **answers),
        Work("perplexity", "", "lm-eval", len(perplexity.models) * perplexity.tokens, size, **question),
        # lmms-eval: one for each task
        Work("all stages", "process starts", "start", 5 + 2 * len(arms) + models * (1 + len(external.pictures))),
    ]  # fmt: skip
    return Run(
        captions=kept, images=painted * each, steps=images.num_inference_steps, side=images.image_size,
        generator=images.generator, arms=arms, llm_parameters=size,
        items={task: count for task, count in (own | pictures | tokens | texts).items() if task not in GRADED},
        work=[row for row in work if row.count], notes=notes,
    )  # fmt: skip


def _parameters(packaged: str, llm: str) -> float | None:
    """Parameters of a language model by its name (vicuna-7b, 0.5B, 135M) or its directory's 16-bit files, or None.

    `packaged` is the name of the file that DESK_LLM is made from.
    """
    name = packaged if llm == DESK_LLM else llm.partition("@")[0]
    if match := re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", name.lower()):
        return float(match[1]) * {"b": 1e9, "m": 1e6}[match[2]]
    return sum(file.stat().st_size for file in Path(llm).glob("*.safetensors")) / 2 or None


def _captions(
    section: CaptionParams, read: int, generated: int, originals: int, size_of: Callable[[str], float | None]
) -> list[Work]:
    """An upper bound: every filter is counted for every caption, though the first ones reject some."""
    pixels = section.reference.image_size**2
    stored = pixels * rates.ORIGINAL_PIXELS * rates.JPEG_BYTES[95] * rates.ORIGINAL_COPIES
    llm, served = size_of(section.llm), size_of(section.judge.server.model)
    asked = {
        "memory": rates.PROCESS_MEMORY + 2 * (llm or LLAVA),
        "gpu_memory": memory.answering(llm or LLAVA, section.batch_size * rates.JUDGED_TOKENS),
    }
    perplexity, judge = section.perplexity.engine, section.judge.engine
    return [  # a server's memory is not counted: it may be elsewhere
        Work("captions", "rules", "captions.rules", read, disk=read * rates.CAPTION_BYTES, memory=rates.RULES_MEMORY),
        Work("captions", "generation", "captions.generation", generated, llm, **asked),
        Work("captions", "original images", "captions.originals", originals, pixels, disk=originals * stored),
        Work("captions", "KenLM", "captions.kenlm", read if perplexity == "kenlm" else 0, memory=rates.KENLM_MEMORY),
        Work("captions", "perplexity", "captions.perplexity", read if perplexity == "llm" else 0, llm, **asked),
        Work("captions", "judge", "captions.server", read if judge == "server" else 0, served),
        Work("captions", "judge", "captions.judge", read if judge == "llm" else 0, llm, **asked),
        Work("captions", "BLIP", "captions.blip", originals if section.blip else 0,
             memory=rates.PROCESS_MEMORY, gpu_memory=rates.ENCODER_MEMORY),
    ]  # fmt: skip


def guided_steps(images: Images) -> float:
    """Steps of the base model with guidance that take as long as those of an image, the refiner's included."""
    share = images.refiner.base_share if images.refiner else 1.0
    return images.num_inference_steps * (share + (1 - share) * rates.REFINER_STEP) * _passes(images.guidance_scale)


def _passes(guidance: float) -> float:
    return 1.0 if guidance > 1 else 0.5  # forward passes relative to the two of guidance


def _bytes_per_pixel(images: Images) -> float:
    if images.quality is None:
        return rates.LOSSLESS_BYTES[images.format]
    return float(np.interp(images.quality, list(rates.JPEG_BYTES), list(rates.JPEG_BYTES.values())))


def _images(images: Images, captions: int, count: int, pairs: int, notes: list[str]) -> list[Work]:
    pixels, stored, draft = images.image_size**2, images.image_size**2 * _bytes_per_pixel(images), images.draft
    drafts = captions * images.candidates if draft else 0
    draft_steps = draft.num_inference_steps * _passes(images.guidance_scale) if draft else 0
    if draft and draft.cosine_min is not None:
        notes.append(
            "images.draft.cosine_min: the number of rejected drafts is not known; all count as generated in full"
        )
    if images.long_prompts == "chunk":
        notes.append("images.long_prompts: batches run once per prompt length, up to 4 times; counted once")
    loaded = rates.PROCESS_MEMORY + memory.sdxl_weights(images)
    needs = {"memory": loaded, "gpu_memory": memory.generation(images)}
    return [
        Work("images", "drafts", "images", drafts, pixels, draft_steps, **needs),
        Work("images", "CLIP of drafts", "images.clip", drafts, pixels),
        Work("images", "", "images", count, pixels, guided_steps(images), count * stored * rates.IMAGE_COPIES, **needs),
        Work("scores", "", "scores", count, pixels, disk=count * rates.SCORE_BYTES,
             memory=rates.PROCESS_MEMORY + rates.UNPACK_MEMORY, gpu_memory=rates.ENCODER_MEMORY),
        Work("select", "", "select", count, disk=pairs * stored * 2, memory=count * rates.SELECT_MEMORY),
    ]  # fmt: skip


def _contamination(contamination: Contamination, count: int, pixels: int) -> list[Work]:
    return [
        Work("contamination", "hashes", "contamination.hashes", count, pixels),
        Work("contamination", "CLIP", "contamination.clip", 0 if contamination.cosine_min is None else count, pixels),
        Work("contamination", "text detection", "contamination.text", count if contamination.text else 0, pixels),
        Work("contamination", "NSFW", "contamination.nsfw", count if contamination.nsfw else 0),
    ]


def _training(
    pretrain: Pretrain, finetune: Finetune, tasks: Tasks, pairs: Sequence[int], size: float | None, notes: list[str]
) -> list[Work]:
    """`pairs`: the number of each arm's training pairs."""
    if not pairs:
        return []
    if finetune.instructions and not Path(finetune.instructions.path).is_file():
        path = finetune.instructions.path
        notes.append(f"finetune.instructions: {path} does not exist; counted as LLaVA-1.5's {MIX_665K:,} conversations")
    if finetune.lora:
        notes.append("finetune.lora: counted with the time of a full training; 4-bit weights take longer")
    if finetune.trainable_layers:
        notes.append("finetune.trainable_layers: counted as a training of all layers")
    trained = rates.LORA_SHARE * finetune.lora.rank if finetune.lora else 1.0
    parameters, runtime = size or LLAVA, load_runtime()
    disk = parameters * (len(pairs) * rates.WEIGHT_BYTES + trained * rates.CHECKPOINT_BYTES)
    (pretrain_gpu, pretrain_divided), (gpu, divided) = (
        memory.training(section, parameters, runtime) for section in (pretrain, finetune)
    )
    loaded = rates.PROCESS_MEMORY + 2 * parameters  # in bfloat16; what is trained is cast to float32
    return [
        Work("pretrain", "", "pretrain", sum(_examples(pretrain, number) for number in pairs), size,
             memory=loaded, gpu_memory=pretrain_gpu, gpu_divided=pretrain_divided),
        Work("finetune", "", "finetune", len(pairs) * _examples(finetune, _conversations(finetune, tasks)), size, disk=disk,
             memory=loaded + 2 * parameters * trained, gpu_memory=gpu, gpu_divided=divided),
    ]  # fmt: skip


def _examples(section: Training, number: int) -> int:
    """Examples that a training takes of so many."""
    number = math.ceil(number * section.epochs)
    return number if section.max_steps is None else min(number, section.max_steps * section.batch_size)


def _conversations(finetune: Finetune, tasks: Tasks) -> int:
    """Number of conversations of a fine-tuning; those of LLaVA-1.5 where its file is missing or empty."""
    if finetune.instructions is None:
        return tasks.instructions.pictures + tasks.instructions.text
    path = Path(finetune.instructions.path)
    if not path.is_file() or not path.stat().st_size:  # mmap does not take an empty one
        return MIX_665K
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        # Keys only: quotes within texts are escaped.
        return sum(1 for _ in re.finditer(rb'"conversations"\s*:', text)) or MIX_665K


def _external(external: ExternalBenchmarks, notes: list[str]) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Questions of `pictures`, `tokens` and `text`, by task, without those of unknown size."""

    def pictured(tasks: list[str]) -> dict[str, int]:
        sizes = {task: QUESTIONS.get(task, external.limit) for task in tasks}
        return {task: min(count, external.limit or count) for task, count in sizes.items() if count is not None}

    pictures, tokens = pictured(external.pictures), pictured(external.tokens)
    known = {task: TEXTS[task] for task in external.text if task in TEXTS}
    texts = {task: min(count, subjects * (external.limit or count)) for task, (subjects, count, _) in known.items()}
    named = external.pictures + external.tokens + external.text
    if unknown := [task for task in named if task not in pictures | tokens | texts]:
        notes.append(f"external_benchmarks: the number of questions of {', '.join(unknown)} is not known; not counted")
    return pictures, tokens, texts


def _token_route(
    section: Callable[[Any, str], Any], tasks: Tasks, concepts: int, pictured: int, draws: int, llm: float | None,
    size_of: Callable[[str], float | None],
) -> list[Work]:  # fmt: skip
    """The Synth2 route; `pictured` captions have an image, `llm` is the size of the VLM's language model."""
    asked, real = section(ClassCaptions, "class_captions"), section(RealPairs, "encode_real_pairs")
    grids = section(GenerateTokens, "generate_tokens")
    pretrain, finetune = section(Training, "pretrain_tokens"), section(Finetune, "finetune_tokens")
    arms, runtime, parameters = len(section(list[TokenArm], "token_arms")), load_runtime(), llm or LLAVA
    classes = concepts if "world" in asked.banks else 0
    imagenet = asked.imagenet
    classes += (imagenet.classes or IMAGENET_CLASSES[imagenet.subset]) if "imagenet" in asked.banks else 0
    captions = classes * asked.per_class
    steps = grids.num_inference_steps * _passes(grids.guidance_scale)
    encoded = real.scenes if real.source == "emoji" else min(real.used, pictured)
    loaded, amused = rates.PROCESS_MEMORY + 2 * parameters, rates.PROCESS_MEMORY + rates.AMUSED_MEMORY
    on_gpu = rates.CUDA_MEMORY + rates.AMUSED_MEMORY
    (pretrain_gpu, pretrain_divided), (gpu, divided) = (
        memory.training(one, parameters, runtime) for one in (pretrain, finetune)
    )
    return [
        Work("class_captions", "", "class_captions", captions,
             size_of(asked.server.model) if asked.engine == "server" else llm),
        Work("encode_real_pairs", "", "encode_real_pairs", encoded, disk=encoded * rates.GRID_BYTES, memory=amused,
             gpu_memory=on_gpu),
        Work("generate_tokens", "", "generate_tokens", captions * grids.candidates, steps=steps,
             disk=captions * grids.candidates * (rates.GRID_BYTES + (rates.SOFT_BYTES if grids.vectors == "soft" else 0)),
             memory=amused,
             gpu_memory=on_gpu + grids.batch_size * rates.GRID_MEMORY),
        Work("pretrain_tokens", "", "pretrain_tokens", arms * _examples(pretrain, draws), llm,
             memory=loaded + draws * rates.DRAW_MEMORY, gpu_memory=pretrain_gpu, gpu_divided=pretrain_divided),
        Work("finetune_tokens", "", "finetune_tokens", arms * _examples(finetune, _conversations(finetune, tasks)), llm,
             disk=arms * parameters * rates.WEIGHT_BYTES, memory=loaded, gpu_memory=gpu, gpu_divided=divided),
    ]  # fmt: skip
