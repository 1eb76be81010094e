"""VQAScore judges in this process: an image scores P(yes) of a vision-language model asked whether it shows the caption.

The score is that of Lin et al. (arXiv 2404.01291, section 3): with one image a question there is no order that could bias the
answer, as it biases judges that see both (Zheng et al., arXiv 2306.05685, section 3.3). Against VQAScore's P(Yes) alone, `no` is
weighed too: small models do not always begin with either word.
"""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.core.determinism import filled
from synthpairs.evaluation.preference.judges import Answer, Comparison
from synthpairs.evaluation.preference.params import LocalJudges
from synthpairs.models.hub import model_folder
from synthpairs.runtime.progress import progress
from synthpairs.vlm.model import load

YES, NO = ("Yes", "yes"), ("No", "no")
KEY = "preference.local.models"


def local_answers(comparisons: Sequence[Comparison], name: str, params: LocalJudges) -> list[Answer]:
    """One model's answers, in order; FileNotFoundError or ValueError names the param when there is no such model."""
    model, processor = load(model_folder(name, KEY, made_by="`dvc repro finetune` makes models/vlm/ARM/finetuned"))
    questions = list(dict.fromkeys((one.caption, image) for one in comparisons for image in (one.first, one.second)))
    scores = dict(zip(questions, yes_probability(model, processor, questions, params), strict=True))
    leads = [scores[one.caption, one.first] - scores[one.caption, one.second] for one in comparisons]
    return [Answer(0.5 if abs(lead) <= params.margin else float(lead > 0)) for lead in leads]


@torch.inference_mode()
def yes_probability(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    questions: Sequence[tuple[str, bytes]],
    params: LocalJudges,
) -> list[float]:
    """P(yes) / (P(yes) + P(no)), by the answer's first token, for each caption and image, in order."""
    yes, no = (_first_tokens(processor, words) for words in (YES, NO))
    processor.tokenizer.padding_side = "left"  # so that every row's last token is the one before the answer
    values: list[float] = []
    with progress("preference", len(questions), "pictures") as advance:
        for start in range(0, len(questions), params.batch):
            batch = filled(part := questions[start : start + params.batch], params.batch)
            inputs = processor(
                images=[Image.open(io.BytesIO(image)) for _, image in batch],
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
