"""Generation of one batch of candidates, in the stage's process or in a worker.

A caption on which the model fails costs its own candidates only. On out-of-memory the batch size is halved.
"""

import hashlib
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from synthpairs.core.errors import error_line
from synthpairs.runtime.accelerator import free_memory, out_of_memory

log = logging.getLogger(__name__)


class CandidateGenerator(Protocol):
    """A loaded model with its settings."""

    inputs: dict[str, Any]  # everything that changes its results
    fingerprint: str  # hash of the inputs
    device: torch.device
    tokenizer: Any  # the one with the smallest limit
    params: Any  # candidates, batch_size, samples_per_shard, max_failed_share; replaced when the batch size is halved


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSpec:
    """How a stage generates its candidates and stores them."""

    stage: str  # its section of params.yaml and the name of its work store
    noun: str  # for a candidate, in messages
    generator: CandidateGenerator
    generate: Callable[[Sequence[str], Sequence[str]], Iterable[Any]]  # results for the keys and texts of a batch
    encode: Callable[[Any], dict[str, bytes]]  # a result's files by extension; ValueError for an invalid result
    json_fields: Mapping[str, Any] = field(default_factory=dict)  # of every sample, in addition to its manifest row
    recipe: int | None = None  # version of the results, where code edits are to keep stored ones; see WorkStore
    metadata: Mapping[str, Any] = field(default_factory=dict)  # in the files, but in no key
    caption_metrics: Callable[[Sequence[str]], dict[str, Any]] | None = None  # further metrics, from all texts


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Files and errors of a batch of candidates."""

    samples: list[tuple[str, dict[str, bytes]]]  # key and files by extension, `sha256` of them among these
    failed: dict[str, str]  # error by key
    batch_size: int  # of the generator after the batch


def files_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a candidate's files, concatenated in order of their extensions."""
    return hashlib.sha256(b"".join(payload for _, payload in sorted(files.items()))).hexdigest()


class BatchGenerator:
    """Function from a batch, rows with `key` and `text`, to its BatchResult."""

    def __init__(self, spec: GenerationSpec) -> None:
        self._spec = spec
        self._pool = ThreadPoolExecutor()

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> BatchResult:
        """Encoded results, or errors; torch.AcceleratorError when the accelerator is broken for this process."""
        samples, failed = [], {}
        for row, files in zip(batch, self._pool.map(self._encode, self._results(batch)), strict=True):
            if isinstance(files, str):
                failed[row["key"]] = files
            else:
                samples.append((row["key"], files | {"sha256": files_hash(files).encode()}))
        return BatchResult(samples, failed, self._spec.generator.params.batch_size)

    def _results(self, batch: Sequence[Mapping[str, Any]]) -> list[Any]:
        """A result or an error as text for each candidate; when a batch raises, its candidates are tried one by one."""
        try:
            return self._within_memory([row["key"] for row in batch], [row["text"] for row in batch])
        except torch.AcceleratorError:
            raise
        except Exception as error:  # pipelines raise all kinds of errors on prompts
            if len(batch) == 1:
                return [error_line(error)]
            return [result for row in batch for result in self._results([row])]

    def _within_memory(self, keys: Sequence[str], texts: Sequence[str]) -> list[Any]:
        """Results of all keys; on out-of-memory the batch size is halved, for this and all later batches."""
        generator = self._spec.generator
        results: list[Any] = []
        while (start := len(results)) < len(keys):
            size = generator.params.batch_size
            try:
                part = list(self._spec.generate(keys[start : start + size], texts[start : start + size]))
            except Exception as error:
                if size == 1 or not out_of_memory(error):
                    raise
                # The number of threads stays that of the whole batch: threads are for the CPU alone.
                generator.params = replace(generator.params, batch_size=size // 2)
            else:
                assert len(part) == min(size, len(keys) - start)
                results += part
                continue
            free_memory()  # here, where the error no longer refers to the tensors of the failed attempt
        return results

    def _encode(self, result: Any) -> dict[str, bytes] | str:
        if isinstance(result, str):
            return result
        try:
            return self._spec.encode(result)
        except ValueError as error:
            return str(error)


class WorkerBatchGenerator:
    """A BatchGenerator in a worker process; ValueError unless its results would be those that the driver planned."""

    def __init__(self, load: Callable[[], GenerationSpec], fingerprint: str, device: str, threads: int) -> None:
        torch.set_num_threads(threads)  # low bits depend on it
        spec = load()
        if spec.generator.fingerprint != fingerprint:
            raise ValueError(
                f"a worker would make other {spec.noun}s than those that were planned: libraries or weights differ there, "
                f"see {spec.generator.inputs}"
            )
        if spec.generator.device.type != device:
            raise ValueError(f"a worker computes on {spec.generator.device.type}, where {device} was expected")
        self._generate = BatchGenerator(spec)

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> BatchResult:
        """As BatchGenerator; a broken accelerator ends the process, so that a new one can retry."""
        try:
            return self._generate(batch)
        except torch.AcceleratorError as error:
            sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
