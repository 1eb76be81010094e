# ruff: noqa: F811
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthpairs.core.schema import REAL_PAIRS
from synthpairs.core.storage import Slice, file_sha256, write_json, write_table
from synthpairs.generation.masked.make import make_token_grids
from synthpairs.generation.masked.tokens import codebook_vectors
from synthpairs.models.vq_tokenizer import WEIGHTS, TokenPicture, read_codebook
from synthpairs.selection.mixing import Mixing, TokenPair, generated_pairs, soft_scale, token_training_set
from tests.generation.masked.conftest import CODES, GRID, TEXTS, captions_of, save_masked, settings, tiny_masked  # noqa: F401

REAL = 12


@pytest.fixture
def data(settings, tmp_path):
    """Makes a data folder of REAL real pairs and two hard or soft grids for each of the eight captions."""

    def make(vectors="hard"):
        make_token_grids(captions_of(TEXTS), settings(vectors=vectors), tmp_path / "generated_tokens")
        rng = np.random.default_rng(0)
        rows = [
            {"key": f"real{number}", "text": "a dog", "concept": "dog", "drawings": ["dog/one"],
             "tokens": rng.integers(CODES, size=GRID[0] * GRID[1])}
            for number in range(REAL)
        ]  # fmt: skip
        write_table(tmp_path / "real_pairs/pairs.parquet", rows, REAL_PAIRS)
        write_json(tmp_path / "real_pairs/list.json", {"grid": list(GRID)})
        return tmp_path

    return make


def mixing(share, draws):
    return Mixing(seed=0, draws=draws, synthetic={"genpair": share})


@pytest.mark.parametrize(
    ("grids", "share", "draws", "counts"),
    [
        (16, 0.0, 8, (8, 8, 0, 0)),
        (16, 0.5, 20, (10, 10, 10, 10)),
        (16, 0.25, 40, (30, REAL, 10, 10)),  # more draws than pairs: repetitions
        (16, 1.0, 40, (0, 0, 40, 16)),
        (0, 0.5, 20, (10, 10, 0, 0)),  # without generated grids only the real draws
        (0, 1.0, 20, (0, 0, 0, 0)),
    ],
)
def test_draws_have_the_shares_of_params(data, settings, tmp_path, tiny_masked, grids, share, draws, counts):
    data()
    if not grids:
        make_token_grids(captions_of(TEXTS)[:0], settings(), tmp_path / "generated_tokens")
    pairs, counted = token_training_set("genpair", mixing(share, draws), tmp_path, str(tiny_masked))
    assert tuple(counted.values()) == counts
    keys = [key for key, _, _ in pairs]
    assert len(keys) == counts[0] + counts[2]
    assert sum(key.startswith("real") for key in keys) == counts[0]
    passes = math.ceil(max(counts[0] / REAL, counts[2] / 16))
    assert max(map(keys.count, keys), default=0) <= passes  # none a third time before all twice


def test_a_training_set_is_reproducible_and_shuffled_and_has_codebook_vectors(data, tiny_masked):
    directory, tokenizer = data(), str(tiny_masked)
    pairs, again = (list(token_training_set("genpair", mixing(0.5, 24), directory, tokenizer)[0]) for _ in range(2))
    once = [key for key, _, _ in pairs]
    assert once == [key for key, _, _ in again]
    halves = [sum(key.startswith("real") for key in part) for part in (once[:12], once[12:])]
    assert all(2 <= half <= 10 for half in halves)
    book = read_codebook(tiny_masked, "it")
    for _, _, picture in pairs:
        vectors = picture.vectors()
        assert torch.equal(picture.pixels(), torch.from_numpy(vectors).bfloat16())
        assert vectors.shape == (book.shape[1], *GRID)
        cells = vectors.reshape(book.shape[1], -1).T
        assert np.abs(cells[:, None] - book[None]).max(-1).min(1).max() == 0


def test_soft_vectors_are_rescaled_to_hard_ones(tmp_path):
    rng = np.random.default_rng(0)
    book = rng.normal(3, 2, size=(CODES, 4)).astype(np.float32)
    pairs = []
    for number in range(30):
        codes = rng.integers(CODES, size=GRID).astype(np.uint16)
        hard = np.moveaxis(book[codes], -1, 0)
        payload = (0.3 * hard + 2).astype("<f2").tobytes()
        (tmp_path / str(number)).write_bytes(b"before" + payload)
        pairs.append(TokenPair(str(number), "a dog", codes, Slice(tmp_path / str(number), 6, len(payload))))
    scale = soft_scale(pairs, book)
    for pair in pairs:
        vectors = TokenPicture(pair.tokens, book, pair.soft, scale).vectors()
        np.testing.assert_allclose(vectors, np.moveaxis(book[pair.tokens], -1, 0), atol=0.05)
    assert soft_scale([TokenPair("0", "a dog", codes)], book) is None


def test_a_soft_training_set_has_mean_and_spread_of_its_tokens_vectors(data, tiny_masked):
    directory = data("soft")
    soft = np.stack(
        [
            picture.vectors()
            for _, _, picture in token_training_set("genpair", mixing(1.0, 16), directory, str(tiny_masked))[0]
        ]
    )
    codes = np.stack([pair.tokens for pair in generated_pairs(directory / "generated_tokens")])
    hard = codebook_vectors(codes, read_codebook(tiny_masked, "it"))
    assert not np.allclose(np.sort(hard, axis=None), np.sort(soft, axis=None))
    np.testing.assert_allclose(soft.mean(axis=(0, 2, 3)), hard.mean(axis=(0, 2, 3)), atol=1e-3)
    np.testing.assert_allclose(soft.std(axis=(0, 2, 3)), hard.std(axis=(0, 2, 3)), rtol=1e-3)


def test_what_is_missing_is_an_error(data, tiny_masked, tmp_path):
    with pytest.raises(ValueError, match=r"mixing\.synthetic has no share for synthetic"):
        token_training_set("synthetic", mixing(0.5, 4), tmp_path, str(tiny_masked))
    with pytest.raises(FileNotFoundError, match="run `dvc repro encode_real_pairs` first"):
        token_training_set("genpair", mixing(0.0, 4), tmp_path, str(tiny_masked))
    with pytest.raises(FileNotFoundError, match="must be an AmusedPipeline directory"):
        token_training_set("genpair", mixing(0.0, 4), data(), str(tmp_path))


@pytest.mark.parametrize(("share", "record"), [(0.0, "real_pairs/list.json"), (1.0, "generated_tokens/generator.json")])
def test_tokens_of_another_tokenizer_are_an_error(data, tmp_path, tiny_masked, share, record):
    write_json(
        data() / "real_pairs/list.json", {"grid": list(GRID), "files": {WEIGHTS: file_sha256(tiny_masked / WEIGHTS)}}
    )
    token_training_set("genpair", mixing(share, 4), tmp_path, str(tiny_masked))
    other = save_masked(tmp_path / "other")
    save_file({name: 2 * weight for name, weight in load_file(other / WEIGHTS).items()}, other / WEIGHTS)
    with pytest.raises(ValueError, match=rf"{record}: the VQ tokens are those of another tokenizer than "):
        token_training_set("genpair", mixing(share, 4), tmp_path, str(other))
