import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from synthpairs.core.storage import read_shard, shard_bytes
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.make import make_token_grids
from synthpairs.generation.masked.tokens import VECTORS, codebook_vectors, encoded, read_token_grids
from tests.generation.masked.conftest import CHANNELS, CODES, GRID, TEXTS, captions_of


@pytest.mark.parametrize("vectors", ["hard", "soft"])
def test_stored_grids_are_read_as_they_were_decoded(settings, tmp_path, vectors):
    params = settings(vectors=vectors)
    make_token_grids(captions_of(TEXTS), params, tmp_path / "out")
    rows = list(read_token_grids(tmp_path / "out"))
    manifest = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert [key for key, *_ in rows] == manifest["key"].tolist()
    assert [caption for _, caption, *_ in rows] == manifest["text"].tolist()
    keys, texts, tokens, soft = zip(*rows[:4], strict=True)
    made, means = MaskedGenerator(params).decode(keys, texts)
    assert np.array_equal(np.stack(tokens), made)
    assert all(grid.dtype == np.uint16 and grid.shape == GRID for grid in tokens)
    if means is None:
        assert soft == (None,) * 4
    else:
        stored = [np.frombuffer(vectors.read(), VECTORS).reshape(CHANNELS, *GRID) for vectors in soft]
        assert np.array_equal(np.stack(stored), means)


def test_an_invalid_sample_is_named(settings, tmp_path):
    make_token_grids(captions_of(TEXTS), settings(vectors="soft"), tmp_path / "out")
    beyond = np.full(GRID, CODES, dtype="<u2").tobytes()
    edits = {
        rf"token {CODES} lies beyond the codebook of {CODES}": lambda files: files.update(tokens=beyond),
        r"30 bytes of tokens, not those of 4 x 4": lambda files: files.update(tokens=files["tokens"][2:]),
        r"0 bytes of tokens, not": lambda files: files.pop("tokens"),
        rf"0 bytes of vectors, not those of {CHANNELS} x 4 x 4": lambda files: files.pop("vectors"),
    }
    path = next(path for path in sorted((tmp_path / "out").glob("shard-*.tar")) if len(list(read_shard(path))) > 1)
    for message, edit in edits.items():
        samples = list(read_shard(path))
        whole = shard_bytes(samples)
        edit(samples[1][1])
        path.write_bytes(shard_bytes(samples))
        with pytest.raises(ValueError, match=rf"{path.name}: {samples[1][0]}: {message}.*dvc repro generate_tokens"):
            list(read_token_grids(tmp_path / "out"))
        path.write_bytes(whole)
    path.write_bytes(shard_bytes(list(read_shard(path))[:-1]))
    with pytest.raises(ValueError, match=rf"{path.name}: holds other samples than manifest.parquet says"):
        list(read_token_grids(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match="run `dvc repro generate_tokens` first"):
        list(read_token_grids(tmp_path / "none"))


def test_files_are_little_endian_and_row_major():
    tokens, vectors = np.array([[1, 2], [258, 4]], dtype=np.uint16), np.ones((1, 2, 2), dtype=np.float16)
    assert encoded(tokens, None, 300) == {"tokens": b"\1\0\2\0\2\1\4\0"}
    assert encoded(tokens, vectors, 300) == {"tokens": b"\1\0\2\0\2\1\4\0", "vectors": b"\0\x3c" * 4}
    with pytest.raises(ValueError, match="token 258 lies beyond the codebook of 258"):
        encoded(tokens, None, 258)
    with pytest.raises(ValueError, match="not finite"):
        encoded(tokens, vectors * np.float16("inf"), 300)
    codebook = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert codebook_vectors(np.array([[[0, 2]]], dtype=np.uint16), codebook).tolist() == [[[[0, 4]], [[1, 5]]]]
    with pytest.raises(ValueError, match="token 3 lies beyond the codebook of 3"):
        codebook_vectors(np.array([[[3]]], dtype=np.uint16), codebook)


def test_reading_needs_no_model_library():
    code = "import sys, synthpairs.generation.masked.tokens; print({'torch', 'diffusers', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
