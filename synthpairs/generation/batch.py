"""How a batch of candidates is made, wherever that happens: in the stage's process, in another, on another machine.

One bad caption costs its own candidates only, and a full accelerator none: the batch is halved.
"""

import hashlib
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from synthpairs.runtime.engine.memory import free, out_of_memory

log = logging.getLogger(__name__)


class Generator(Protocol):
    """A loaded model that makes them."""

    inputs: dict[str, Any]  # everything that changes what it makes, spelled out
    fingerprint: str  # of the inputs
    device: torch.device
    tokenizer: Any  # the one that cuts prompts first
    params: Any  # candidates, batch, samples_per_shard, max_failed_share; another batch when memory runs out


@dataclass(frozen=True, slots=True, kw_only=True)
class Craft:
    """How one stage makes its candidates."""

    stage: str  # its section of params.yaml and the name of its work store
    noun: str  # what one of them is called
    generator: Generator
    make: Callable[[Sequence[str], Sequence[str]], Iterable[Any]]  # a result for each of a batch's keys and texts
    encode: Callable[[Any], dict[str, bytes]]  # a result's files by extension; ValueError says why it is not one
    told: Mapping[str, Any]  # entries of every sample's json beside its row of the manifest
    recipe: int | None = None  # version of what makes them, where a code edit is to make none anew; see WorkStore
    added: Mapping[str, Any] = field(default_factory=dict)  # what files carry beside what was made; no part of any key
    count: Callable[[Sequence[str]], dict[str, Any]] | None = None  # metrics of the captions beside those of all crafts


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a batch."""

    samples: list[tuple[str, dict[str, bytes]]]  # key and files, with their `sha256` beside them
    failed: dict[str, str]  # error by key
    batch: int  # how many the device takes at once by now


def files_hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a candidate's files, one after the other by extension."""
    return hashlib.sha256(b"".join(payload for _, payload in sorted(files.items()))).hexdigest()


class Maker:
    """Makes batches, rows with `key` and `text`, by a craft."""

    def __init__(self, craft: Craft) -> None:
        self._craft = craft
        self._pool = ThreadPoolExecutor()

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> Made:
        """Results encoded, or why there are none. An accelerator that is broken for good comes through as AcceleratorError."""
        samples, failed = [], {}
        for row, files in zip(batch, self._pool.map(self._encoded, self._results(batch)), strict=True):
            if isinstance(files, str):
                failed[row["key"]] = files
            else:
                samples.append((row["key"], files | {"sha256": files_hash(files).encode()}))
        return Made(samples, failed, self._craft.generator.params.batch)

    def _results(self, batch: Sequence[Mapping[str, Any]]) -> list[Any]:
        """A result, or an error as text, for each candidate; when a batch raises, its candidates are tried one by one."""
        try:
            return self._fitting([row["key"] for row in batch], [row["text"] for row in batch])
        except torch.AcceleratorError:  # this process can compute nothing on it any more
            raise
        except Exception as error:  # there is no saying what a pipeline raises on a prompt that it cannot take
            if len(batch) == 1:
                return [f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]]
            return [result for row in batch for result in self._results([row])]

    def _fitting(self, keys: Sequence[str], texts: Sequence[str]) -> list[Any]:
        """Results of as many at once as there is memory for; from the first failure on that is half, of whatever follows."""
        generator = self._craft.generator
        done: list[Any] = []
        while len(done) < len(keys):
            size, first = generator.params.batch, len(done)
            try:
                results = list(self._craft.make(keys[first : first + size], texts[first : first + size]))
            except Exception as error:
                if size == 1 or not out_of_memory(error):
                    raise
                # The number of threads stays the one that was found for the whole batch: it is the CPU's concern.
                generator.params = replace(generator.params, batch=size // 2)
            else:
                assert len(results) == min(size, len(keys) - first)
                done += results
                continue
            free()  # only now, when the error no longer holds what it failed with
        return done

    def _encoded(self, result: Any) -> dict[str, bytes] | str:
        """The result's files, or why there are none."""
        if isinstance(result, str):
            return result
        try:
            return self._craft.encode(result)
        except ValueError as error:
            return str(error)


class MakerElsewhere:
    """A Maker in a worker's process, which has to be as the driver thinks it is: otherwise it would make something else."""

    def __init__(self, recipe: Callable[[], Craft], fingerprint: str, device: str, threads: int) -> None:
        torch.set_num_threads(threads)  # low bits depend on it
        craft = recipe()
        if craft.generator.fingerprint != fingerprint:
            raise ValueError(
                f"a worker would make other {craft.noun}s than those that were planned: libraries or weights differ there, "
                f"see {craft.generator.inputs}"
            )
        if craft.generator.device.type != device:
            raise ValueError(f"a worker computes on {craft.generator.device.type}, where {device} was expected")
        self._make = Maker(craft)

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> Made:
        """As Maker; but a broken accelerator ends the process, for a fresh one may have another go."""
        try:
            return self._make(batch)
        except torch.AcceleratorError as error:
            sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
