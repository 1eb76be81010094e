"""What the language model is asked for each class."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from synthpairs.invention.bank import Concept
from synthpairs.invention.params import Invent, Prompt
from synthpairs.schema import digest, noise_seed

Message = tuple[str, str]  # role, content


@dataclass(frozen=True, slots=True)
class Request:
    """One caption to write: `number` counts the class's captions from 0; the seed depends on class and number alone."""

    concept: Concept
    number: int
    seed: int  # 63 bits
    messages: tuple[Message, ...]


def requests(concepts: Sequence[Concept], params: Invent) -> list[Request]:
    """`params.per_class` requests for each class; ValueError when the template is none."""
    _check(params.prompt)
    asked = []
    for concept in concepts:
        messages = _messages(concept.name, params.prompt)
        for number in range(params.per_class):
            seed = noise_seed(digest("invent", params.seed, concept.name, number))
            asked.append(Request(concept, number, seed, messages))
    return asked


def fragments(prompt: Prompt) -> list[str]:
    """What no caption says: the sentences around the template's fields of at least three words, in lower case."""
    texts = [prompt.system, *(literal for literal, *_ in string.Formatter().parse(prompt.request))]
    sentences = [" ".join(sentence.lower().split()) for text in texts for sentence in text.split(".")]
    return [sentence for sentence in sentences if len(sentence.split()) >= 3]


def _messages(name: str, prompt: Prompt) -> tuple[Message, ...]:
    messages = [("system", prompt.system)] if prompt.system else []
    for example, caption in prompt.examples.items():
        messages += [("user", prompt.request.format(name=example, words=prompt.words)), ("assistant", caption)]
    return (*messages, ("user", prompt.request.format(name=name, words=prompt.words)))


def _check(prompt: Prompt) -> None:
    where = "params.yaml: invent.prompt.request"
    try:
        fields = {field for _, field, *_ in string.Formatter().parse(prompt.request) if field is not None}
    except ValueError as error:
        raise ValueError(f"{where}: {error}, got {prompt.request!r}") from None
    if "name" not in fields or not fields <= {"name", "words"}:
        raise ValueError(f"{where} must hold {{name}} and may hold {{words}}, nothing else; got {prompt.request!r}")
