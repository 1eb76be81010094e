"""Pairwise judge behind an OpenAI-compatible server: it sees both images at once, and is asked twice, with the order swapped.

Judges favour a position (Zheng et al., arXiv 2306.05685, section 3.3: GPT-4 kept its verdict in 65% of swapped pairs). Their
remedy is taken here: a win must come out in both orders, all else is a tie, and ties by disagreement are counted.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any

from synthpairs.evaluation.preference.judges import Answer, Comparison
from synthpairs.evaluation.preference.params import Preference
from synthpairs.models.language.server import Reply, Server, request_body, server_replies

QUESTION = (
    "Here are two pictures, A and B, and a caption. Which picture shows the caption better: the right things, in the right "
    "number, colours and places, and recognisable? Do not prefer a style, and do not mind the order. "
    "Answer with one word only: A, B or tie.\n\nCaption: "
)
ANSWER_TOKENS = 8
_CHOICES = {"a": 1.0, "b": 0.0, "tie": 0.5}


def served_answers(
    comparisons: Sequence[Comparison], params: Preference, server: Server
) -> tuple[list[Answer], dict[str, int]]:
    """One answer a comparison, in order, and how many replies came from the cache and how many attempts were in vain.

    ValueError when more than `params.max_failed_share` of the requests failed.
    """
    total = 2 * len(comparisons)
    most = int(params.max_failed_share * total)
    bodies = (body for comparison in comparisons for body in _both_orders(comparison, params))
    replies, counts = server_replies(bodies, total, params.server, server, most, "preference")
    return [_agreed(*replies[start : start + 2]) for start in range(0, total, 2)], counts


def parse_choice(text: str) -> float | None:
    """1 for A, 0 for B, 0.5 for a tie, whatever marks stand around the word; None for any other answer."""
    return _CHOICES.get(re.sub(r"[\W_]+", " ", text).strip().casefold().removeprefix("picture "))


def _both_orders(comparison: Comparison, params: Preference) -> Iterator[dict[str, Any]]:
    for order in ((comparison.first, comparison.second), (comparison.second, comparison.first)):
        content: list[dict[str, Any]] = []
        for letter, png in zip("AB", order, strict=True):
            content.append({"type": "text", "text": f"Picture {letter}:"})
            url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            content.append({"type": "image_url", "image_url": {"url": url}})
        content.append({"type": "text", "text": QUESTION + comparison.caption})
        yield request_body(params.server, [("user", content)], temperature=0, top_p=1, max_tokens=ANSWER_TOKENS, seed=0)


def _agreed(given: Reply, swapped: Reply) -> Answer:
    if given.error is not None or swapped.error is not None:
        return Answer(0.5, "failed")
    one, other = parse_choice(given.text), parse_choice(swapped.text)
    if one is None or other is None:
        return Answer(0.5, "unclear")
    return Answer(one) if one == 1 - other else Answer(0.5, "inconsistent")
