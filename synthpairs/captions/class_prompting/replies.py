"""Parsing of model replies into captions, or the reasons to reject them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from synthpairs.captions.class_prompting.params import Prompt, Replies
from synthpairs.captions.class_prompting.prompts import fragments
from synthpairs.models.language.server import THOUGHTS, Reply

_LABEL = re.compile(r"^\W*caption\W*:\s*", re.IGNORECASE)
_OPENING = re.compile(
    r"(here|here's|sure|certainly|okay|of course|as an? (ai|language)|(the|this|a) caption|caption)\b", re.IGNORECASE
)
_PERSONS = re.compile(r"\b(i|i'm|i'll|i've|my|we|we're|let's|you|you're|you'll|your)\b", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(a|an|the|of|and|in|on|at|with|is|are|its|to|by|from|for|under|near|one|two|that)\b")
_OTHERS = re.compile(
    r"\b(le|la|les|un|une|des|du|et|est|sur|avec|dans|der|die|das|ein|eine|einem|einen|und|ist|mit|auf|"
    r"el|los|las|una|y|con|sobre|en|il|di|che|della|per|os|uma|com|het|een|van|op)\b"
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The text of a reply, with reason and detail if it is not a usable caption."""

    text: str
    reason: str | None = None
    detail: str = ""


def parse(reply: Reply, prompt: Prompt, limits: Replies, mentions: Callable[[str], bool]) -> Parsed:
    """The first line of a reply without reasoning, label and quotes; `mentions(text)`: whether a text names its class.

    Reasons: empty, chatter, prompt, cut, language, length, unmentioned.
    """
    lines = [line for line in THOUGHTS.sub("", reply.text).splitlines() if line.strip()]
    text = " ".join(_LABEL.sub("", lines[0]).split()).strip("\"'`*\u201c\u201d ") if lines else ""
    if not text:
        return Parsed("", "empty")
    words, lower = len(text.split()), text.lower()
    if _OPENING.match(text) or text.endswith(":"):
        return Parsed(text, "chatter", "talks about the task")
    if person := _PERSONS.search(text.replace("\u2019", "'")):
        return Parsed(text, "chatter", f"says {person.group()!r}")
    if repeated := next((part for part in fragments(prompt) if part in lower), None):
        return Parsed(text, "prompt", f"repeats {repeated!r}")
    if _bare(text) in [_bare(example["caption"]) for example in prompt.examples]:
        return Parsed(text, "prompt", "repeats an example")
    if reply.cut and len(lines) == 1:
        return Parsed(text, "cut", "max_new_tokens ended it")
    if detail := _foreign(lower):
        return Parsed(text, "language", detail)
    if not limits.words_min <= words <= limits.words_max:
        return Parsed(text, "length", f"{words} words")
    return Parsed(text) if mentions(text) else Parsed(text, "unmentioned")


def _bare(text: str) -> str:
    return text.lower().rstrip(".! ")


def _foreign(text: str) -> str | None:
    """Why a text is not English: over a tenth of its letters are not A to Z, or function words of six other languages prevail."""
    letters = [char for char in text if char.isalpha()]
    plain = sum(char.isascii() for char in letters)
    if not letters or plain < 0.9 * len(letters):
        return f"{plain} of {len(letters)} letters are Latin"
    english, other = len(_ENGLISH.findall(text)), len(_OTHERS.findall(text))
    return f"{other} foreign function words, {english} English ones" if other > english else None
