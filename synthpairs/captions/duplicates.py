"""Duplicate captions: exact ones by text, near duplicates by MinHash with locality-sensitive hashing.

The MinHash signature of a caption is cut into bands. Captions of the same concept that agree in a whole band share a bucket
and are compared by the exact Jaccard similarity of their character n-grams. Rejected captions leave their buckets, so that
many copies of a caption cost no more than one. Memory holds two hashes per caption and the buckets that several share;
texts and bands are on disk.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption
from synthpairs.core.schema import caption_uid, normalise

_CACHED = 2**13  # captions whose n-grams are cached


def fingerprint(text: str, concept: str, limits: Limits) -> bytes:
    """16 bytes that only equal texts share, then 8 bytes for each band of the signature."""
    comparable = _comparable(text)
    exact = hashlib.blake2b(comparable.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    keys = _hash_keys(limits.near_bands * limits.near_rows)
    parts = signature(shingles(comparable, limits.near_ngram), keys).reshape(limits.near_bands, limits.near_rows)
    suffix = concept.encode("utf-8", "surrogatepass")
    return exact + b"".join(hashlib.blake2b(part.tobytes() + suffix, digest_size=8).digest() for part in parts)


def shingles(text: str, n: int) -> frozenset[int]:
    """64-bit hashes of the text's overlapping character n-grams; a text of fewer characters is one n-gram."""
    return frozenset(map(_gram_hash, _grams(text, n)))


def signature(grams: frozenset[int], keys: np.ndarray) -> np.ndarray:
    """MinHash: the minimum of each key's hash over the n-grams; two sets agree in an element with their Jaccard similarity."""
    mixed = np.fromiter(grams, dtype=np.uint64, count=len(grams))[None] ^ keys[:, None]
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray((mixed ^ (mixed >> np.uint64(33))).min(axis=1))


class Duplicates:
    """Duplicates among all captions added, which are numbered in that order: `add` chunks, `search` once, `reject` chunks."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._limits = limits
        folder.mkdir(parents=True, exist_ok=True)
        self._texts = (folder / "texts").open("w+b")
        self._bands = [(folder / f"band-{band:03d}").open("w+b") for band in range(limits.near_bands)]
        self._hashes: list[np.ndarray] = []  # [caption, 2]
        self._ends: list[np.ndarray] = []  # of texts in the file
        self._next = 0  # caption to reject

    def add(self, captions: Sequence[Caption], fingerprints: Sequence[bytes]) -> None:
        """Add the next captions, in the order of trust: of equal ones the first is kept."""
        if not captions:
            return
        words = np.frombuffer(b"".join(fingerprints), dtype=np.uint64).reshape(len(captions), -1)
        self._hashes.append(words[:, :2].copy())
        for file, column in zip(self._bands, words[:, 2:].T, strict=True):
            file.write(column.tobytes())
        payloads = [json.dumps([caption.text, caption.source]).encode() for caption in captions]
        start = int(self._ends[-1][-1]) if self._ends else 0
        self._ends.append(start + np.cumsum([len(payload) for payload in payloads], dtype=np.int64))
        self._texts.writelines(payloads)

    def search(self) -> None:
        """Determine for each caption which one it duplicates, if any."""
        self._texts.flush()
        hashes = np.concatenate(self._hashes) if self._hashes else np.empty((0, 2), np.uint64)
        ends = np.concatenate(self._ends) if self._ends else np.empty(0, np.int64)
        self._hashes, self._ends = [], [ends]
        self._first = _first_of_equals(hashes)  # caption with the same text, maybe itself
        del hashes
        self._near = np.full(len(ends), -1, dtype=np.int32)  # near duplicate, -1: none
        self._similarity = np.zeros(len(ends))
        self._compare(*self._shared_buckets(self._first == np.arange(len(ends))))

    def reject(self, captions: Sequence[Caption]) -> None:
        """Reject the duplicates among the next captions, in the order in which they were added."""
        for caption in captions:
            number, self._next = self._next, self._next + 1
            if (first := int(self._first[number])) != number:
                text, source = self._text(first)
                caption.reject("exact_duplicate", f"of {caption_uid(text, source)} ({source})")
            elif (other := int(self._near[number])) >= 0:
                text, source = self._text(other)
                detail = f"{self._similarity[number]:.3f} of {caption_uid(text, source)}: {text}"
                caption.reject("near_duplicate", detail)

    def _shared_buckets(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Captions and their buckets, [membership] each, ordered by caption; buckets of one caption are left out."""
        numbers = np.flatnonzero(candidates).astype(np.int32)
        members, buckets, count = [np.empty(0, np.int32)], [np.empty(0, np.int32)], 0
        for file in self._bands:
            file.seek(0)
            keys = np.fromfile(file, dtype=np.uint64)[numbers]
            order = np.argsort(keys, kind="stable").astype(np.int32)
            keys = keys[order]
            starts = np.ones(len(keys), dtype=bool)
            starts[1:] = keys[1:] != keys[:-1]
            alone = starts & np.append(starts[1:], True)
            buckets.append((count + np.cumsum(starts & ~alone, dtype=np.int32) - 1)[~alone])
            members.append(numbers[order[~alone]])
            count += int((starts & ~alone).sum())
        member, bucket = np.concatenate(members), np.concatenate(buckets)
        del members, buckets
        by_member = np.argsort(member, kind="stable")
        return member[by_member], bucket[by_member]

    def _compare(self, members: np.ndarray, buckets: np.ndarray) -> None:
        """Compare each caption, in order, with the kept ones of its buckets, which are linked lists of memberships."""
        n, limit = self._limits.near_ngram, self._limits.near_jaccard
        grams = lru_cache(maxsize=_CACHED)(lambda number: _grams(_comparable(self._text(number)[0]), n))
        latest = np.full(int(buckets.max(initial=-1)) + 1, -1, dtype=np.int32).data  # membership last added to a bucket
        previous = np.full(len(members), -1, dtype=np.int32).data  # membership added to the same bucket before
        member, bucket = members.data, buckets.data
        for start, end in _runs(members):
            number, others = member[start], set()
            for index in range(start, end):
                link = latest[bucket[index]]
                while link >= 0:
                    others.add(member[link])
                    link = previous[link]
            ours = grams(number) if others else frozenset()
            for other in sorted(others):
                theirs = grams(other)
                shared = len(ours & theirs)
                if (similarity := shared / (len(ours) + len(theirs) - shared)) >= limit:
                    self._near[number], self._similarity[number] = other, similarity
                    break
            else:
                for index in range(start, end):
                    previous[index], latest[bucket[index]] = latest[bucket[index]], index

    def _text(self, number: int) -> tuple[str, str]:
        ends = self._ends[0]
        start = int(ends[number - 1]) if number else 0
        text, source = json.loads(os.pread(self._texts.fileno(), int(ends[number]) - start, start))
        return text, source


def _first_of_equals(hashes: np.ndarray) -> np.ndarray:
    """Index of the first equal row for each row of [row, 2]."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0])).astype(np.int32)  # stable: equal rows stay in order
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (hashes[order[1:]] != hashes[order[:-1]]).any(1)
    first = np.empty(len(order), dtype=np.int32)
    first[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    return first


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and end of each run of equal values."""
    edges = np.append(np.flatnonzero(np.diff(values)) + 1, len(values))
    start = 0
    for end in edges.data:
        if end > start:
            yield start, end
        start = end


def _grams(text: str, n: int) -> frozenset[str]:
    return frozenset(text[start : start + n] for start in range(max(1, len(text) - n + 1)))


@lru_cache(maxsize=2**17)  # most n-grams come from few words
def _gram_hash(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


@cache
def _hash_keys(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(2**64, size=count, dtype=np.uint64)


def _comparable(text: str) -> str:
    return normalise(text).casefold()
