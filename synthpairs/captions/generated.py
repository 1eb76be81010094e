"""Generated captions: the language model writes them about the emoji world's concepts."""

import re
from collections.abc import Sequence

from synthpairs.captions.concepts import first_concept
from synthpairs.captions.params import Generated
from synthpairs.captions.record import Caption
from synthpairs.core.schema import digest, noise_seed
from synthpairs.core.storage import WorkStore
from synthpairs.emoji.scenes import BACKGROUNDS
from synthpairs.models.language.model import LanguageModel
from synthpairs.models.language.sampling import generate
from synthpairs.runtime.cached_map import cached_map

# A small model follows examples better than rules. Their objects are not in the emoji world, and their wordings differ to
# make those of the generated captions differ.
_SYSTEM = "You write captions for simple pictures."
_REQUEST = "Write one short factual caption for a simple picture of: {name}. Background colour: {ground}."
_EXAMPLES = (
    ("fox", "blue", "A red fox on a blue background"),
    ("banana", "white", "One ripe yellow banana against a plain white background"),
    ("car", "green", "A small toy car with a green background"),
    ("clock", "orange", "A round clock hangs on an orange wall"),
    ("penguin", "purple", "A penguin stands in front of a purple background"),
)
_CHATTER = re.compile(
    r"(here|here's|sure|certainly|okay|of course|i|i'm|let me|as an? (ai|language)|(the|this|a) caption|caption)\b",
    re.IGNORECASE,
)


def generated_captions(
    lm: LanguageModel, concepts: Sequence[str], params: Generated, seed: int, batch: int, store: WorkStore
) -> list[Caption]:
    """`params.per_concept` captions about each concept, over the backgrounds in turn; unusable replies come rejected.

    A reply depends on the seed, the concept and its index among the concept's captions.
    """
    grounds = list(BACKGROUNDS)
    requests = [(name, index) for name in concepts for index in range(params.per_concept)]
    prompts = [_prompt(lm, name, grounds[index % len(grounds)]) for name, index in requests]
    seeds = [noise_seed(digest("caption", seed, name, index)) for name, index in requests]

    def write(items: Sequence[tuple[str, int]]) -> list[str]:
        return generate(lm, [prompt for prompt, _ in items], [seed for _, seed in items], params.sampling, batch)

    replies = cached_map(store, "write", list(zip(prompts, seeds, strict=True)), write)
    return [_caption(reply, name) for reply, (name, _) in zip(replies, requests, strict=True)]


def _prompt(lm: LanguageModel, name: str, ground: str) -> str:
    messages = [("system", _SYSTEM)]
    for example, colour, caption in _EXAMPLES:
        messages += [("user", _REQUEST.format(name=example, ground=colour)), ("assistant", caption)]
    return lm.chat([*messages, ("user", _REQUEST.format(name=name, ground=ground))])


def _caption(reply: str, name: str) -> Caption:
    text, fault = parse_reply(reply, name)
    caption = Caption(text=text, source="model", concept=name)
    if fault:
        caption.reject("reply", fault)
    return caption


def parse_reply(reply: str, name: str) -> tuple[str, str | None]:
    """The caption in a reply, which is its first line without quotes and label, and what is wrong with it."""
    line = next((line for line in reply.splitlines() if line.strip()), "").strip()
    text = re.sub(r"^(caption\s*:\s*)", "", line, flags=re.IGNORECASE).strip("\"'`*\u201c\u201d ")
    if not text:
        return reply, "empty"
    if _CHATTER.match(text) or text.endswith(":"):
        return text, "talks about the task"
    if "background colour:" in text.lower() or text in {caption for _, _, caption in _EXAMPLES}:
        return text, "repeats the prompt"
    if not first_concept(text, [name]):
        return text, f"does not mention {name}"
    return text, None
