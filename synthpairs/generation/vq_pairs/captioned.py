"""Real pairs of captions: from data/captions to data/real_pairs, the original pictures of kept captions as VQ tokens."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps

from synthpairs.core.determinism import best_device
from synthpairs.core.images import decode_image
from synthpairs.core.schema import REAL_PAIRS, digest
from synthpairs.core.storage import TableWriter, WorkStore, file_sha256, read_table, write_json
from synthpairs.generation.vq_pairs.encoding import Encoder
from synthpairs.generation.vq_pairs.listing import RECORD
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.hub import hub_record
from synthpairs.models.vq_tokenizer import FOLDER, WEIGHTS, load_tokenizer, picture_side, tokenizer_folder
from synthpairs.runtime.progress import progress

CHUNK = 512  # pairs that are encoded at a time and kept in the work store: 400 MB of pictures of 512 x 512
TOKENS = np.dtype("<u2")  # in the work store
_COLUMNS = ["uid", "text", "concept", "original"]


def encode_captions(table: Path, params: RealPairs, out: Path) -> dict[str, Any]:
    """Write `out` (pairs.parquet, list.json) in the order of the table of CAPTIONS, whose first `params.used` pairs are taken.

    A picture is scaled and cut to the middle square that the tokenizer takes. A killed run resumes. Returns metrics, among
    them `generator_trained_on_these`: whether the tokenizer's folder has a record of this very list. ValueError without any
    picture.
    """
    key = "encode_real_pairs.tokenizer"
    folder = tokenizer_folder(params.tokenizer, key)
    vq = load_tokenizer(folder, f"params.yaml: {key}").to(best_device())
    side, encoder = picture_side(folder, vq), Encoder(vq)
    cosines = read_table(table, "dvc repro captions", ["clip_original"])["clip_original"]  # one for each picture
    total = min(params.used, int(cosines.notna().sum()))
    if not total:
        raise ValueError(
            f"{table}: no caption has a picture: name a source with pictures in params.yaml: captions.sources, or set "
            "encode_real_pairs.source to emoji"
        )
    grid = side // 2 ** (len(vq.config.block_out_channels) - 1)
    listed, codes_used = hashlib.sha256(), np.zeros(vq.config.num_vq_embeddings, bool)
    fingerprint = digest(file_sha256(folder / FOLDER), side, best_device().type, torch.get_num_threads())
    with (
        WorkStore("encode_real_pairs", fingerprint).locked() as store,
        ThreadPoolExecutor() as pool,
        progress("tokens", total, "pictures") as advance,
        TableWriter(out / "pairs.parquet", REAL_PAIRS) as pairs,
    ):
        remaining = islice(_pictured(table), total)
        while rows := list(islice(remaining, CHUNK)):
            hashes = [hashlib.sha256(row["original"]).hexdigest() for row in rows]
            name, shape = f"{digest(*hashes)}.tokens", (len(rows), grid, grid)
            payload = store.get(name) or b""
            if len(payload) == TOKENS.itemsize * np.prod(shape):
                tokens = np.frombuffer(payload, TOKENS).reshape(shape)
                advance(len(rows))
            else:
                squares = list(pool.map(lambda row: _square(row["original"], side), rows))
                tokens = encoder.tokens(torch.from_numpy(np.stack(squares)), advance)
                store.put(name, tokens.astype(TOKENS).tobytes())
            codes_used[tokens] = True
            for row, picture, cells in zip(rows, hashes, tokens, strict=True):
                listed.update(f"{row['uid']}\0{picture}\n".encode())
                pairs.add({"key": row["uid"], "text": row["text"], "concept": row["concept"], "drawings": [],
                           "tokens": cells.flatten()})  # fmt: skip
    described = {"sha256": listed.hexdigest(), "pairs": total}
    files = {WEIGHTS: file_sha256(folder / WEIGHTS)}
    write_json(out / "list.json", described | {"used": total, "grid": [grid, grid], "files": files})
    store.discard()
    record, hub = folder / RECORD, hub_record(params.tokenizer, folder)
    return {
        "used": total,
        "codes_used": round(float(codes_used.mean()), 4),  # share of the codebook
        "generator_trained_on_these": record.exists() and json.loads(record.read_bytes()) == described,
    } | ({"hub": hub} if hub else {})


def _pictured(table: Path) -> Iterator[dict[str, Any]]:
    """Rows that have a picture; a batch of them is in memory at a time."""
    with pq.ParquetFile(table, buffer_size=2**20) as file:  # unbuffered, whole column chunks are read at once
        for batch in file.iter_batches(64, columns=_COLUMNS):
            yield from (row for row in batch.to_pylist() if row["original"] is not None)


def _square(encoded: bytes, side: int) -> np.ndarray:
    """The picture's middle, uint8 [3, side, side]."""
    fitted = ImageOps.fit(decode_image(encoded), (side, side), Image.Resampling.BICUBIC)
    return np.asarray(fitted).transpose(2, 0, 1)
