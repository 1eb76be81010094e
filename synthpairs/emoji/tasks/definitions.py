"""lm-eval task definitions of the benchmarks: a YAML file for each table, and for image tasks a second one without images.

They run under lm-eval from the project root, without network:
`python -m lm_eval --model hf-multimodal --model_args pretrained=models/vlm/selected/finetuned --apply_chat_template
--include_path data/tasks --tasks desk_pope`. One call cannot run all of them: `hf-multimodal` requires that either all
requests of a call have images or none has, and `desk_text` takes no chat template. Raise `VERSION` with every change of content.
"""

VERSION = 1.0
_SCORING = "!function synthpairs.evaluation.benchmarks.scoring"
# Scoring function, maximum tokens of an answer (an untrained model never stops), metric and aggregation.
_SCORES = {
    "desk_caption": ("caption", 24, "cider", "!function synthpairs.evaluation.benchmarks.cider.mean_cider"),
    "desk_pope": ("yes_or_no", 3, "accuracy", "mean"),
    "desk_vqa": ("short_answer", 6, "accuracy", "mean"),
    "desk_sqa": ("option", 6, "accuracy", "mean"),
}
PICTURED = tuple(_SCORES)
TEXT = "desk_text"
TASKS = (*PICTURED, TEXT)
LETTERS = "ABCD"  # of the choices, in order
BLIND = "_blind"  # suffix of the variants without images


def definitions() -> dict[str, str]:
    """YAML text of each definition by file name."""
    files = {f"{TEXT}.yaml": _text()}
    for task in PICTURED:
        files[f"{task}.yaml"] = _pictured(task)
        files[f"{task}{BLIND}.yaml"] = _blind(task)
    return dict(sorted(files.items()))


def _common(task: str) -> str:
    return f"""\
# Written by stage `tasks`; see synthpairs/emoji/tasks/definitions.py.
task: {task}
custom_dataset: {_SCORING}.load_table
dataset_kwargs:
  table: {task}.parquet
test_split: test
num_fewshot: 0
metadata:
  version: {VERSION}
"""


def _pictured(task: str) -> str:
    judge, tokens, metric, aggregation = _SCORES[task]
    return f"""\
{_common(task)}\
output_type: generate_until
doc_to_image: {_SCORING}.pictures
doc_to_text: "<image>\\n{{{{question}}}}"
doc_to_target: "{{{{answers[0]}}}}"
process_results: {_SCORING}.{judge}
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: {tokens}
  do_sample: false
metric_list:
  - metric: {metric}
    aggregation: {aggregation}
    higher_is_better: true
"""


def _blind(task: str) -> str:
    return f"""\
# The same questions without their picture: what can be guessed from the words alone.
include: {task}.yaml
task: {task}{BLIND}
doc_to_image: null
doc_to_text: "{{{{question}}}}"
"""


def _text() -> str:
    return f"""\
{_common(TEXT)}\
output_type: multiple_choice
doc_to_text: question
doc_to_choice: choices
doc_to_target: "{{{{choices.index(answers[0])}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
