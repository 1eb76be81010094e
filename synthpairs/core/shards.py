"""Tar shards of samples, grouped by the leading bits of their keys so that a few new samples change few shards."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from synthpairs.core.schema import digest
from synthpairs.core.storage import shard_bytes, write_bytes


def shard_keys(keys: Iterable[str], size: int) -> list[list[str]]:
    """The keys, sorted, in groups of about `size` or fewer.

    The number of groups is a power of two and a key's group is its leading bits, so a new sample changes its own shard
    alone, until the groups double.
    """
    ordered = sorted(keys)
    bits = (-(-len(ordered) // size) - 1).bit_length() if ordered else 0
    return [list(group) for _, group in groupby(ordered, lambda key: int(key[:8], 16) >> (32 - bits))]


def shard_name(keys: Iterable[str]) -> str:
    """File name of the shard with the samples of these keys in this order."""
    return f"shard-{digest(*keys)}.tar"


def write_shards(out: Path, shards: Iterable[tuple[str, list[tuple[str, dict[str, bytes]]]]]) -> None:
    """Write (name, samples) shards one by one into the folder `out`, and remove all other shards from it."""
    written = set()
    for name, samples in shards:
        write_bytes(out / name, shard_bytes(samples))
        written.add(name)
    for path in sorted(out.glob("shard-*.tar")):
        if path.name not in written:
            path.unlink()
