"""Judges in this process: a picture scores P(yes) of a vision-language model that is asked whether it shows the caption.

That is VQAScore (Lin et al., arXiv 2404.01291, section 3): with one picture a question there is no order that could bias the
answer, as it biases judges that see both (Zheng et al., arXiv 2306.05685, section 3.3). Against VQAScore's P(Yes) alone, `no` is
weighed too: small models do not always begin with either word.
"""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.hub import model_folder
from synthpairs.inference import filled
from synthpairs.preference.judges import Answer, Comparison
from synthpairs.preference.params import LocalJudges
from synthpairs.progress import progress
from synthpairs.vlm import load

YES, NO = ("Yes", "yes"), ("No", "no")
KEY = "preference.local.models"


def local_answers(comparisons: Sequence[Comparison], name: str, params: LocalJudges) -> list[Answer]:
    """One model's answers, in order; FileNotFoundError or ValueError names the param when there is no such model."""
    model, processor = load(model_folder(name, KEY, made_by="`dvc repro finetune` makes models/vlm/ARM/finetuned"))
    shown = [(one.caption, picture) for one in comparisons for picture in (one.first, one.second)]
    different = list(dict.fromkeys(shown))
    scores = dict(zip(different, yes_probability(model, processor, different, params), strict=True))
    return [_answer(scores[shown[at]] - scores[shown[at + 1]], params.margin) for at in range(0, len(shown), 2)]


@torch.inference_mode()
def yes_probability(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    shown: Sequence[tuple[str, bytes]],
    params: LocalJudges,
) -> list[float]:
    """P(yes) / (P(yes) + P(no)), by the answer's first token, for each caption and picture, in order."""
    yes, no = (_first_tokens(processor, words) for words in (YES, NO))
    processor.tokenizer.padding_side = "left"  # so that every row's last token is the one before the answer
    values: list[float] = []
    with progress("preference", len(shown), "pictures") as advance:
        for start in range(0, len(shown), params.batch):
            batch = filled(part := shown[start : start + params.batch], params.batch)
            inputs = processor(
                images=[Image.open(io.BytesIO(picture)) for _, picture in batch],
                text=[_prompt(processor, params.question, caption) for caption, _ in batch],
                padding=True,
                return_tensors="pt",
            ).to(model.device)
            logits = model(**inputs, logits_to_keep=1).logits[:, -1].float()
            margin = logits[:, yes].logsumexp(1) - logits[:, no].logsumexp(1)
            values += margin.sigmoid().tolist()[: len(part)]
            advance(len(part))
    return values


def _prompt(processor: LlavaProcessor, question: str, caption: str) -> str:
    content = [{"type": "image"}, {"type": "text", "text": question.replace("{caption}", caption)}]
    return str(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))


def _first_tokens(processor: LlavaProcessor, words: Sequence[str]) -> list[int]:
    """The first token of each word: where the vocabulary has no word as a whole, its start tells it from the other."""
    return sorted({processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in words})


def _answer(lead: float, margin: float) -> Answer:
    return Answer(0.5 if abs(lead) <= margin else float(lead > 0))
