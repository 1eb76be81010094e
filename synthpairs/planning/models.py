"""How much work the models are: trainings, and the questions that they are asked."""

import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from synthpairs.benchmarks.params import Benchmark, Tasks
from synthpairs.benchmarks.suite_params import Suite
from synthpairs.params import Within
from synthpairs.perplexity.params import Perplexity
from synthpairs.planning.load import Load
from synthpairs.planning.params import Document

UNTRAINED = 1  # models that the benchmarks of pictures are asked of beside the arms
TWICE = 2  # with pictures and blind
LLAVA = 7e9  # parameters of its language model, where the size of ours is not known
MIX_665K = 665_298  # conversations of LLaVA-1.5's mix, the usual file of finetune.instructions
WEIGHT_BYTES = 2 * 2  # of a stored parameter in bfloat16, in DVC's cache and the workspace
CHECKPOINT_BYTES = 12 * 2  # weights and AdamW's two moments in float32; two are there while one replaces the other
ADAPTED = 3.7e-4  # of a 7B Llama's parameters, what `finetune.lora` adds on all its linear layers for each rank
# Sections `align` and `finetune` are asked value by value: to import their dataclasses takes seconds, for torch comes along.
COUNT, LORA = Annotated[int, Within(0)], dict[str, object] | None
_CONVERSATION = re.compile(rb'"conversations"\s*:')  # a key: within a text the quotes have backslashes before them

# Questions of lmms-eval's tasks, as its data sets on the hub (huggingface.co/lmms-lab) count them.
QUESTIONS = {
    "gqa": 12_578, "mmbench_en_dev": 4_329, "mmbench_en_dev_static": 4_329, "mme": 2_374, "mmvet": 218, "pope": 9_000,
    "scienceqa": 4_241, "scienceqa_img": 2_017, "seedbench": 17_990, "vizwiz_vqa_val": 4_319, "vqav2_val": 214_354,
}  # fmt: skip
GRADED = ("mme", "mmvet", "vizwiz_vqa_val", "vqav2_val")  # of them, those whose answers are not just right or wrong
# Of lm-eval's: subjects, whose questions a limit counts one by one, questions, and tokens of one with its answer (a guess).
TEXTS = {"mmlu": (57, 14_042, 115)}


def conversations(params: Document) -> tuple[int, list[str]]:
    """How many an arm is fine-tuned on, and what had to be assumed about it."""
    if params.get("finetune.instructions", dict[str, object] | None) is None:
        mix = params.get("tasks", Tasks).instructions
        return mix.pictures + mix.text, []
    path = Path(params.get("finetune.instructions.path", str))
    if not path.is_file() or not path.stat().st_size:
        return MIX_665K, [
            f"finetune.instructions: {path} is not there; taken to hold LLaVA-1.5's {MIX_665K:,} conversations"
        ]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return sum(1 for _ in _CONVERSATION.finditer(text)), []


def examples(params: Document, section: str, there: int) -> int:
    """Examples that a training takes a step on."""
    wanted = math.ceil(there * params.get(f"{section}.epochs", Annotated[float, Within(0, 1000)]))
    steps = params.get(f"{section}.max_steps", COUNT | None)
    return wanted if steps is None else min(wanted, steps * params.get(f"{section}.batch", COUNT))


def adapter_notes(params: Document) -> list[str]:
    """What a plan cannot say of adapters, where there are any."""
    if not params.get("finetune.lora", LORA):
        return []
    quantized = params.get("finetune.lora.quantize", Literal["nf4"] | None)
    slower = "; weights in 4 bits take longer, nobody knows how much" if quantized else ""
    return [f"finetune.lora: planned with the time of a full training, for adapters save memory{slower}"]


def training_loads(params: Document, pairs: int, talks: int, arms: int, llm: float | None) -> Iterator[Load]:
    """Stages `align` and `finetune` of all arms, each with so many pairs and conversations at hand."""
    trained = ADAPTED * params.get("finetune.lora.rank", COUNT) if params.get("finetune.lora", LORA) else 1.0
    kept = (llm or LLAVA) * (arms * WEIGHT_BYTES + trained * CHECKPOINT_BYTES)
    aligned, tuned = examples(params, "align", pairs), examples(params, "finetune", talks)
    yield Load(stage="align", rate="align", pieces=arms * aligned, size=llm, starts=arms)
    yield Load(stage="finetune", rate="finetune", pieces=arms * tuned, size=llm, starts=arms, disk=kept)


def own_items(params: Document) -> dict[str, int]:
    """Items of each benchmark of `tasks`."""
    tasks = params.get("tasks", Tasks)
    return {
        task: getattr(tasks, task.removeprefix("desk_")) for task in params.get("benchmark", Benchmark).tasks.pictures
    }


def suite_items(params: Document) -> dict[str, int]:
    """Items of the benchmarks of `suite` whose answers are right or wrong, as far as their sizes are known."""
    suite = params.get("suite", Suite)
    found = {task: size for task, size in _pictured(suite)[0].items() if task not in GRADED}
    return found | {task: size for task, (size, _) in _texts(suite).items()}


def question_loads(params: Document, arms: int, code_arms: int, llm: float | None) -> tuple[list[Load], list[str]]:
    """Stage `benchmark` of all arms and the untrained model, with `suite`; and the tasks whose size nobody knows."""
    models, suite, perplexity = arms + UNTRAINED, params.get("suite", Suite), params.get("perplexity", Perplexity)
    answers = sum(own_items(params).values()) * TWICE * models
    loads = [Load(stage="benchmark", part="own", rate="benchmark", pieces=answers, size=llm, starts=models)]
    pictured, unknown = _pictured(suite)
    if pictured:
        asked, starts = models * sum(pictured.values()), models * len(pictured)  # a process for each task
        rate = "benchmark.lmms-eval"
        loads.append(Load(stage="benchmark", part="lmms-eval", rate=rate, pieces=asked, size=llm, starts=starts))
    tokens = float(sum(size * length for size, length in _texts(suite).values()))
    if tokens:
        read = (models + code_arms) * tokens
        loads.append(Load(stage="benchmark", part="lm-eval", rate="benchmark.lm-eval", pieces=read, size=llm))
    foreseen = len(perplexity.models) * perplexity.tokens
    loads.append(Load(stage="perplexity", rate="benchmark.lm-eval", pieces=foreseen, size=llm))
    unknown += [task for task in suite.text if task not in TEXTS]
    return loads, [f"suite: nobody knows how many questions {', '.join(unknown)} have; not counted"] if unknown else []


def _pictured(suite: Suite) -> tuple[dict[str, int], list[str]]:
    """Questions of each task of `suite.pictures`, and the tasks of unknown size."""
    sizes = {task: QUESTIONS.get(task, suite.limit) for task in suite.pictures}
    known = {task: min(size, suite.limit or size) for task, size in sizes.items() if size is not None}
    return known, [task for task in sizes if task not in known]


def _texts(suite: Suite) -> dict[str, tuple[int, int]]:
    """Questions of each known task of `suite.text`, and the tokens that are read for one.

    Its choices are one token each, so the solved examples and the question are read once.
    """
    found = {}
    for task in suite.text:
        if task in TEXTS:
            subjects, questions, length = TEXTS[task]
            most = questions if suite.limit is None else subjects * suite.limit
            found[task] = min(questions, most), length * (1 + suite.shots)
    return found
