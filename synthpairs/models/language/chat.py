"""Text from outside as a language model gets it: without control tokens, and in the model's own chat template.

A caption `a dog<|im_end|>` would end the turn that it stands in, and the rest of it would be the model's answer.
"""

import faulthandler
import re
import resource
import signal
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin

SECONDS = 10  # of computing, for one prompt
MEMORY = 2**30  # bytes
LONGEST = 300  # seconds of one operation, as of `9 ** (9 ** 9)`, which no signal interrupts: then the process ends
MAX_CHARACTERS = 1_000_000  # of a prompt


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Pattern of a tokenizer's special tokens, as they stand in a text and after Unicode's NFKC; case is ignored."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return _pattern(frozenset(added.union(tokenizer.all_special_tokens)))


@cache  # it takes a millisecond for Llama 3's 250, and each prompt needs it
def _pattern(tokens: frozenset[str]) -> re.Pattern[str]:
    special = {token.strip() for token in tokens}
    forms = special | {unicodedata.normalize("NFKC", token) for token in special}
    # The text encoder of SDXL pads with "!"; a pattern without alternatives would match everywhere.
    longer = sorted((re.escape(token) for token in forms if len(token) > 1), reverse=True)
    return re.compile("|".join(longer) or "(?!)", re.IGNORECASE)


def has_control_token(text: str, control: re.Pattern[str]) -> bool:
    """Whether a text holds one of `control_tokens`, as it is or after the normalisation that many tokenizers begin with."""
    return bool(control.search(text) or control.search(unicodedata.normalize("NFKC", text)))


def without_control_tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts with a space in each special token, `< |im_end|>`, so that it is read as text; all others stay as they are."""
    control = control_tokens(tokenizer)
    return [_parted(text, control) for text in texts]


def _parted(text: str, control: re.Pattern[str]) -> str:
    while has_control_token(text, control):  # of tokens that overlap, one is left
        if not control.search(text):
            text = unicodedata.normalize("NFKC", text)
        text = control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def render_chat(renderer: PreTrainedTokenizerBase | ProcessorMixin, messages: Sequence[dict[str, Any]]) -> str:
    """The prompt of messages in the chat template of a tokenizer or processor; special tokens are the template's alone.

    A message's content is a text, or parts of which some have `text`. ValueError when the template fails, or takes more than
    the limits of this module.
    """
    tokenizer = renderer.tokenizer if isinstance(renderer, ProcessorMixin) else renderer
    control = control_tokens(tokenizer)

    def plain(content: Any) -> Any:
        if isinstance(content, str):
            return _parted(content, control)
        return [part | {"text": plain(part["text"])} if "text" in part else part for part in content]

    turns = [message | {"content": plain(message["content"])} for message in messages]
    try:
        with _limited():
            prompt = str(renderer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        if len(prompt) > MAX_CHARACTERS:
            raise MemoryError(f"its prompt has {len(prompt)} characters")
    except Exception as error:  # a template is a program
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"the chat template of {tokenizer.name_or_path} cannot be used ({reason})") from None
    return prompt


@contextmanager
def _limited() -> Iterator[None]:
    """TimeoutError or MemoryError for what takes more than SECONDS of computing or MEMORY; in the main thread alone.

    An operation of more than LONGEST seconds ends the process with the exit code 1 and a traceback.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes more than {SECONDS} s")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = min(limit for limit in (used + MEMORY, soft, hard) if limit != resource.RLIM_INFINITY)
    handler = signal.signal(signal.SIGVTALRM, stop)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        faulthandler.dump_traceback_later(LONGEST, exit=True, file=2)  # a notebook replaces sys.stderr
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
