"""Filters that use a language model: perplexity, and a judge of whether a caption is good enough to generate an image from."""

import re
from collections.abc import Sequence

from synthpairs.captions.params import Judge, Limits
from synthpairs.captions.record import Caption
from synthpairs.core.schema import normalise
from synthpairs.core.storage import WorkStore
from synthpairs.models.language.chat import without_control_tokens
from synthpairs.models.language.likelihood import perplexity, yes_probability
from synthpairs.models.language.model import LanguageModel
from synthpairs.models.language.server import THOUGHTS, Server, request_body, server_replies
from synthpairs.runtime.cached_map import cached_map

# The paper's criteria (supplement, table 1), paraphrased. A model of 135M parameters answers the bare question at random: over
# captions labelled by hand, the area under the ROC curve is 0.45 (n = 33). With examples it is 0.95 (n = 55; the best of five
# prompts, selected on the same captions, so somewhat optimistic).
_QUESTION = (
    "You are an expert in making pictures with AI. You are given one caption and decide whether it is good enough to "
    "make a picture from: it is detailed, logically coherent, clear, and gives a diffusion model enough information. "
    "Answer only Yes or No."
)
_EXAMPLES = (
    ("a green parrot on a white branch", "Yes"),
    ("best price shoes online free shipping", "No"),
    ("two fish in a round bowl, blue background", "Yes"),
    ("thing", "No"),
    ("The clock eats is hat and not over the hat", "No"),
    ("a red chair against a grey wall", "Yes"),
    ("photo 12", "No"),
    ("A lamp stands on a pink background", "Yes"),
    ("an illustration of a penguin and a kite", "Yes"),
    ("Books are a good way to learn about the world", "No"),
    ("A banana is a lamp sleeping in a fast spoon", "No"),
    ("a bear next to a tree on a brown background", "Yes"),
    ("three keys. The background is grey", "Yes"),
    ("I hope that you like it", "No"),
    ("car car cars car buy car", "No"),
    ("A wooden table with a silver spoon", "Yes"),
    ("caption of the image", "No"),
    ("A small clock hangs on a green wall", "Yes"),
)
# Maximum tokens of a server's answer: "Yes." and quotes. A reasoning model needs `extra: {max_tokens: ...}`.
_ANSWER_TOKENS = 8


def judge_prompt(text: str) -> str:
    """The few-shot prompt: criteria, examples with verdicts, and the caption, whose verdict is the next token."""
    cases = [*_EXAMPLES, (normalise(text), "")]
    return "\n\n".join([_QUESTION, *(f"Caption: {case}\nGood enough: {verdict}" for case, verdict in cases)]).rstrip()


def filter_by_perplexity(
    captions: Sequence[Caption], limits: Limits, lm: LanguageModel, batch: int, store: WorkStore
) -> None:
    """Reject captions with a perplexity above `perplexity_max`, rounded to one decimal as in Data-Juicer.

    Data-Juicer uses a 5-gram model of Wikipedia, whose values are on another scale.
    """
    texts = [normalise(caption.text) for caption in captions]
    values = cached_map(store, "perplexity", texts, lambda items: perplexity(lm, items, batch))
    for caption, value in zip(captions, values, strict=True):
        caption.measures["perplexity"] = round(value, 1)
        if caption.measures["perplexity"] > limits.perplexity_max:
            caption.reject("perplexity", f"{value:.1f} > {limits.perplexity_max}")


def filter_by_judge(
    captions: Sequence[Caption], limits: Limits, lm: LanguageModel, batch: int, store: WorkStore
) -> None:
    """Reject captions whose P(yes) / (P(yes) + P(no)) after `judge_prompt` is below `judge_min`."""
    prompts = without_control_tokens([judge_prompt(caption.text) for caption in captions], lm.tokenizer)
    values = cached_map(store, "judge", prompts, lambda items: yes_probability(lm, items, batch))
    for caption, value in zip(captions, values, strict=True):
        caption.measures["judge_yes"] = round(value, 4)
        if caption.measures["judge_yes"] < limits.judge_min:
            caption.reject("judge", f"{value:.4f} < {limits.judge_min}")


def filter_by_server_judge(captions: Sequence[Caption], limits: Limits, judge: Judge, server: Server) -> None:
    """Reject captions that a served model answers No to, as the paper asks LLaMA3-70B: zero-shot.

    `judge_yes` is 1 for Yes and 0 for No. Any other answer is rejected as `judge_unclear`, a failed request as `judge_failed`
    (the next run repeats it, as errors are not cached). ValueError when more than `max_failed_share` of the requests fail.
    """
    bodies = (
        request_body(judge.server, _messages(caption.text), temperature=0, top_p=1, max_tokens=_ANSWER_TOKENS, seed=0)
        for caption in captions
    )
    max_failed = int(judge.max_failed_share * len(captions))
    replies, _ = server_replies(bodies, len(captions), judge.server, server, max_failed, "captions.judge")
    for caption, reply in zip(captions, replies, strict=True):
        if reply.error is not None:
            caption.reject("judge_failed", reply.error)
        elif (verdict := parse_verdict(reply.text)) is None:
            caption.reject("judge_unclear", f"answers {reply.text[:100]!r}")
        else:
            caption.measures["judge_yes"] = float(verdict)
            if caption.measures["judge_yes"] < limits.judge_min:
                caption.reject("judge", f"{reply.model} says No")


def _messages(text: str) -> list[tuple[str, str]]:
    return [("system", _QUESTION), ("user", f"Caption: {normalise(text)}")]


def parse_verdict(answer: str) -> bool | None:
    """True for Yes, False for No, ignoring punctuation and reasoning; None for any other answer."""
    word = re.sub(r"[\W_]+", " ", THOUGHTS.sub("", answer)).strip().casefold()
    return {"yes": True, "no": False}.get(word)
