"""VQAScore judges: an image's score is a vision-language model's P(yes) to the question whether it shows the caption.

The score is that of Lin et al. (arXiv 2404.01291, section 3). With one image per question there is no position bias,
which judges of two images have (Zheng et al., arXiv 2306.05685, section 3.3). Unlike VQAScore's, P(yes) is relative to
P(yes) + P(no), since small models do not always begin with either word.
"""

from collections.abc import Sequence

import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.core.determinism import pad_batch
from synthpairs.core.images import decode_image
from synthpairs.evaluation.preference.judges import PairQuestion, Verdict
from synthpairs.evaluation.preference.params import LocalJudges
from synthpairs.models.hub import model_folder
from synthpairs.models.language.chat import render_chat
from synthpairs.runtime.progress import progress
from synthpairs.vlm.model import load

YES, NO = ("Yes", "yes"), ("No", "no")


def local_verdicts(questions: Sequence[PairQuestion], name: str, params: LocalJudges) -> list[Verdict]:
    """One model's verdicts, in order; FileNotFoundError or ValueError when there is no such model."""
    folder = model_folder(
        name, "preference.local.models", made_by="`dvc repro finetune` makes models/vlm/ARM/finetuned"
    )
    model, processor = load(folder)
    asked = dict.fromkeys((one.caption, image) for one in questions for image in (one.first, one.second))
    captioned = sorted(asked, key=lambda pair: len(pair[0]))  # batches of similar length are padded less
    scores = dict(zip(captioned, yes_probability(model, processor, captioned, params), strict=True))
    differences = [scores[one.caption, one.first] - scores[one.caption, one.second] for one in questions]
    return [Verdict(0.5 if abs(value) <= params.margin else float(value > 0)) for value in differences]


@torch.inference_mode()
def yes_probability(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    captioned: Sequence[tuple[str, bytes]],
    params: LocalJudges,
) -> list[float]:
    """P(yes) / (P(yes) + P(no)) of the answer's first token, for each caption and image, in order."""
    yes, no = (_first_tokens(processor, words) for words in (YES, NO))
    processor.tokenizer.padding_side = "left"  # so that every row ends with the token before the answer
    values: list[float] = []
    with progress("preference", len(captioned), "images") as advance:
        for start in range(0, len(captioned), params.batch_size):
            batch = pad_batch(part := captioned[start : start + params.batch_size], params.batch_size)
            inputs = processor(
                images=[decode_image(image) for _, image in batch],
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
    return render_chat(processor, [{"role": "user", "content": content}])


def _first_tokens(processor: LlavaProcessor, words: Sequence[str]) -> list[int]:
    """First token of each word; the beginnings of `yes` and `no` differ even if the vocabulary splits the words."""
    return sorted({processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in words})
