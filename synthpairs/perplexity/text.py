"""The held-out text, from a pinned package or a file, and its windows of tokens."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from synthpairs.packages import pinned
from synthpairs.perplexity.params import Perplexity


def read_text(params: Perplexity) -> str:
    """The text; ValueError for a package that is not pinned, FileNotFoundError for a file that is not there."""
    if params.path is not None:
        if not Path(params.path).is_file():
            raise FileNotFoundError(f"params.yaml: perplexity.path: {params.path} is no file")
        return Path(params.path).read_text(encoding="utf-8")
    assert params.text
    packages = {package.package: package for package in pinned("texts")}
    if params.text.package not in packages:
        raise ValueError(
            f"params.yaml: perplexity.text.package must be one that packages.lock.yaml pins ({', '.join(packages)}), "
            f"got {params.text.package!r}"
        )
    return packages[params.text.package].read(params.text.file).decode()


def windows(text: str, tokenizer: PreTrainedTokenizerBase, params: Perplexity) -> Iterator[Sequence[int]]:
    """Token ids of the documents, no window with parts of two, `params.tokens` in all."""
    left = params.tokens
    for document in text.split("\n\n"):
        ids = tokenizer(document.strip(), add_special_tokens=False)["input_ids"][:left]
        left -= len(ids)
        for start in range(0, len(ids), params.window):
            yield ids[start : start + params.window]
        if not left:
            return
