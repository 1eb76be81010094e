"""Pairwise judge behind an OpenAI-compatible server: it sees both images, in both orders.

Such judges have a position bias (Zheng et al., arXiv 2306.05685, section 3.3: GPT-4 kept its verdict in 65% of swapped
pairs). As there, an image must win in both orders; everything else is a tie, and ties by disagreement are counted.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any

from synthpairs.evaluation.preference.judges import PairQuestion, Verdict
from synthpairs.evaluation.preference.params import Preference
from synthpairs.models.language.server import Reply, Server, request_body, server_replies

QUESTION = (
    "Here are two pictures, A and B, and a caption. Which picture shows the caption better: the right things, in the right "
    "number, colours and places, and recognisable? Do not prefer a style, and do not mind the order. "
    "Answer with one word only: A, B or tie.\n\nCaption: "
)
REPLY_TOKENS = 8
_CHOICES = {"a": 1.0, "b": 0.0, "tie": 0.5}


def served_verdicts(
    questions: Sequence[PairQuestion], params: Preference, server: Server
) -> tuple[list[Verdict], dict[str, int]]:
    """Verdicts, in order, and the server's counts of cached replies and retries.

    ValueError when more than `params.max_failed_share` of the requests failed.
    """
    total = 2 * len(questions)
    most_failed = int(params.max_failed_share * total)
    bodies = (body for question in questions for body in _both_orders(question, params))
    replies, counts = server_replies(bodies, total, params.server, server, most_failed, "preference")
    return [_verdict(*replies[start : start + 2]) for start in range(0, total, 2)], counts


def parse_choice(text: str) -> float | None:
    """1 for A, 0 for B, 0.5 for a tie, punctuation aside; None for any other reply."""
    return _CHOICES.get(re.sub(r"[\W_]+", " ", text).strip().casefold().removeprefix("picture "))


def _both_orders(question: PairQuestion, params: Preference) -> Iterator[dict[str, Any]]:
    for order in ((question.first, question.second), (question.second, question.first)):
        content: list[dict[str, Any]] = []
        for letter, png in zip("AB", order, strict=True):
            content.append({"type": "text", "text": f"Picture {letter}:"})
            url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            content.append({"type": "image_url", "image_url": {"url": url}})
        content.append({"type": "text", "text": QUESTION + question.caption})
        yield request_body(params.server, [("user", content)], temperature=0, top_p=1, max_tokens=REPLY_TOKENS, seed=0)


def _verdict(reply: Reply, swapped: Reply) -> Verdict:
    if reply.error is not None or swapped.error is not None:
        return Verdict(0.5, "failed")
    one, other = parse_choice(reply.text), parse_choice(swapped.text)
    if one is None or other is None:
        return Verdict(0.5, "unclear")
    return Verdict(one) if one == 1 - other else Verdict(0.5, "inconsistent")
