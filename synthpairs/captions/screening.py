"""The filters that need a caption's text alone, over chunks of captions in as many processes as there are cores."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from synthpairs.captions.duplicates import fingerprint
from synthpairs.captions.filters import Finding, examined
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption, alive
from synthpairs.models.language.kenlm import Kenlm
from synthpairs.runtime.workers import process_pool, usable_cores


class Verdict(NamedTuple):
    """What became of one caption; `fingerprint` tells duplicates, and is empty after a rejection."""

    finding: Finding
    fingerprint: bytes


def screened(
    chunks: Iterable[list[Caption]], limits: Limits, kenlm: Path | None
) -> Iterator[tuple[list[Caption], list[bytes]]]:
    """Each chunk in order, after the rules and the perplexity of the 5-gram model in `kenlm` if there is one.

    With it come the fingerprints of those that are still alive, in their order. A run of one chunk starts no process.
    """
    examine = partial(_verdicts, limits=limits, kenlm=kenlm)
    rest = iter(chunks)
    first = list(islice(rest, 2))
    if len(first) < 2:
        for chunk in first:
            yield chunk, _apply(chunk, examine(_questions(chunk)))
        return
    cores = usable_cores()
    waiting: deque[tuple[list[Caption], Future[list[Verdict]]]] = deque()
    # Forked, for a new interpreter would import the stage with all its models; the workers need Python and NumPy alone.
    with process_pool(cores, "fork") as pool:
        for chunk in chain(first, rest):
            waiting.append((chunk, pool.submit(examine, _questions(chunk))))
            if len(waiting) > cores + 1:
                done, future = waiting.popleft()
                yield done, _apply(done, future.result())
        while waiting:
            done, future = waiting.popleft()
            yield done, _apply(done, future.result())


def _questions(chunk: Sequence[Caption]) -> list[tuple[str, str]]:
    """Text and concept of those that were not rejected by whoever read or wrote them."""
    return [(caption.text, caption.concept) for caption in alive(chunk)]


def _apply(chunk: Sequence[Caption], verdicts: Sequence[Verdict]) -> list[bytes]:
    for caption, (finding, _) in zip(alive(chunk), verdicts, strict=True):
        caption.measures |= finding.measures
        if finding.reason is not None:
            caption.reject(finding.reason, finding.detail)
    return [verdict.fingerprint for verdict in verdicts if verdict.finding.reason is None]


def _verdicts(questions: Sequence[tuple[str, str]], limits: Limits, kenlm: Path | None) -> list[Verdict]:
    findings = examined([text for text, _ in questions], limits)
    return [_verdict(*question, finding, limits, kenlm) for question, finding in zip(questions, findings, strict=True)]


def _verdict(text: str, concept: str, finding: Finding, limits: Limits, kenlm: Path | None) -> Verdict:
    if finding.reason is None and kenlm is not None:
        value = _kenlm(kenlm).perplexity(text)
        reason, detail = (
            ("perplexity", f"{value:.1f} > {limits.perplexity_max}") if value > limits.perplexity_max else (None, "")
        )
        finding = Finding(finding.measures | {"perplexity": value}, reason, detail)
    return Verdict(finding, fingerprint(text, concept, limits) if finding.reason is None else b"")


@cache
def _kenlm(folder: Path) -> Kenlm:
    return Kenlm(folder)
