"""Prompts that ask a language model for captions of a class."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from synthpairs.captions.class_prompting.bank import Concept
from synthpairs.captions.class_prompting.params import ClassCaptions, Prompt
from synthpairs.core.schema import digest, noise_seed

Message = tuple[str, str]  # role, content


@dataclass(frozen=True, slots=True)
class Request:
    """Request for one caption: `number` counts the captions of the class from 0, and determines with the class the seed."""

    concept: Concept
    number: int
    seed: int  # 63 bits
    messages: tuple[Message, ...]


def make_requests(concepts: Sequence[Concept], params: ClassCaptions) -> list[Request]:
    """`params.per_class` requests for each class. ValueError when request template, slots and examples do not match."""
    _check(params.prompt)
    result = []
    for concept in concepts:
        for number in range(params.per_class):
            seed = noise_seed(digest("invent", params.seed, concept.name, number))
            result.append(Request(concept, number, seed, _messages(concept.name, seed, params.prompt)))
    return result


def fragments(prompt: Prompt) -> list[str]:
    """Sentences of the prompt of at least three words, in lower case; a caption must not contain them."""
    texts = [prompt.system, *(literal for literal, *_ in string.Formatter().parse(prompt.request))]
    sentences = [" ".join(sentence.lower().split()) for text in texts for sentence in text.split(".")]
    return [sentence for sentence in sentences if len(sentence.split()) >= 3]


def _messages(name: str, seed: int, prompt: Prompt) -> tuple[Message, ...]:
    messages = [("system", prompt.system)] if prompt.system else []
    drawn = {
        slot: values[noise_seed(digest("slot", seed, slot)) % len(values)] for slot, values in prompt.slots.items()
    }
    for example in prompt.examples:
        messages += [("user", prompt.request.format(words=prompt.words, **example)), ("assistant", example["caption"])]
    return (*messages, ("user", prompt.request.format(words=prompt.words, name=name, **drawn)))


def _check(prompt: Prompt) -> None:
    where = "params.yaml: class_captions.prompt"
    try:
        fields = {field for _, field, *_ in string.Formatter().parse(prompt.request) if field is not None}
    except ValueError as error:
        raise ValueError(f"{where}.request: {error}, got {prompt.request!r}") from None
    needed = {"name", *prompt.slots}
    if not needed <= fields <= needed | {"words"}:
        raise ValueError(
            f"{where}.request must contain {', '.join(f'{{{field}}}' for field in sorted(needed))}, may contain {{words}}, "
            f"and nothing else; got {prompt.request!r}"
        )
    for slot, values in prompt.slots.items():
        if not values or slot in ("name", "words", "caption"):
            raise ValueError(
                f"{where}.slots.{slot} must be a list of at least one value, and not be called name, words or caption"
            )
    for number, example in enumerate(prompt.examples):
        if example.keys() != needed | {"caption"}:
            raise ValueError(
                f"{where}.examples[{number}] must have the keys {', '.join(sorted(needed | {'caption'}))}, got {example}"
            )
