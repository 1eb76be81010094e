import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionXLPipeline

from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import Refiner
from synthpairs.generation.diffusion.prompts import MOST_CHUNKS, chunk_counts, count_cut, embeddings, readers
from tests.generation.conftest import KEYS
from tests.generation.diffusion import tiny

LONG = "x" * 150  # letters, of which tiny_tokenizer makes tokens: 62 fit beside the markers


@pytest.fixture(scope="module")
def pipeline(base):
    return StableDiffusionXLPipeline.from_pretrained(base, add_watermarker=False)


def test_each_encoder_has_its_limit_and_the_tightest_leads(tmp_path):
    def limits(kind, length):
        made = DiffusionPipeline.from_pretrained(kind(tmp_path / kind.__name__))
        return {reader.name: reader.limit for reader in readers(made, length, chunks=False)}

    assert list(limits(tiny.sd3, None).items()) == [("tokenizer", 64), ("tokenizer_2", 64), ("tokenizer_3", 256)]
    assert list(limits(tiny.sd3, 8).items()) == [("tokenizer_3", 8), ("tokenizer", 64), ("tokenizer_2", 64)]
    assert limits(tiny.pixart, None) == {"tokenizer": 120}
    assert limits(tiny.flux, None) == {"tokenizer": 64, "tokenizer_2": 512}
    three = readers(DiffusionPipeline.from_pretrained(tmp_path / "sd3"), 4, chunks=False)
    assert count_cut(three, ["a dog", "two cats"]) == {"prompts_truncated": 0}
    assert count_cut(three, ["a dog", "word word word word", LONG]) == {
        "prompts_truncated": 1, "prompt_tokens_longest": 152,  # T5 reads words here, and one marker
        "prompts_truncated_by": {"tokenizer": 1, "tokenizer_2": 1, "tokenizer_3": 1},
    }  # fmt: skip


def test_captions_are_read_in_as_many_chunks_as_they_need(pipeline):
    both = readers(pipeline, None, chunks=True)
    assert {reader.limit for reader in both} == {62 * MOST_CHUNKS + 2}
    texts = ["", "a dog", "x" * 62, "x" * 63, "x" * 124, LONG, "x" * 10_000]
    assert chunk_counts(both, texts) == [1, 1, 1, 2, 2, 3, MOST_CHUNKS]
    assert count_cut(both, [LONG]) == {"prompts_truncated": 0}
    assert count_cut(both, ["x" * 10_000])["prompts_truncated"] == 1


@pytest.mark.parametrize("negative", [None, "", "blurred"])
@torch.inference_mode()
def test_one_chunk_is_what_the_pipeline_makes_of_it(pipeline, negative):
    ours = embeddings(pipeline, ["a dog", "two cats"], 1, negative, guided=True)
    nothing = None if negative is None else [negative] * 2
    given, without, pooled, pooled_without = pipeline.encode_prompt(["a dog", "two cats"], negative_prompt=nothing)
    theirs = {
        "prompt_embeds": given, "pooled_prompt_embeds": pooled, "negative_prompt_embeds": without,
        "negative_pooled_prompt_embeds": pooled_without,
    }  # fmt: skip
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_long_captions_are_read_whole_and_short_ones_stay_the_same(settings, base, refiner):
    cut, chunked = (
        Generator(settings(generator=str(base), long_prompts=how, negative_prompt="blurred"))
        for how in ("cut", "chunk")
    )
    assert cut.fingerprint != chunked.fingerprint
    short = cut.paint(KEYS[:2], ["a dog", "two cats"])
    assert np.array_equal(short, chunked.paint(KEYS[:2], ["a dog", "two cats"]))
    other = LONG[:140] + "z" * 10
    assert np.array_equal(cut.paint(KEYS[:1], [LONG]), cut.paint(KEYS[:1], [other]))
    assert not np.array_equal(chunked.paint(KEYS[:1], [LONG]), chunked.paint(KEYS[:1], [other]))
    mixed = chunked.paint(KEYS[:4], ["a dog", LONG, "two cats", other])
    assert np.array_equal(mixed[0], short[0]), "a long neighbour changes nothing"
    assert np.array_equal(mixed[3], chunked.paint(KEYS[3:4], [other])[0])
    refined = Generator(
        settings(
            generator=str(base), long_prompts="chunk", steps=4,
            refiner=Refiner(model=str(refiner), base_share=0.5),
        )
    )  # fmt: skip
    assert not np.array_equal(refined.paint(KEYS[:1], [LONG]), refined.paint(KEYS[:1], [other]))
