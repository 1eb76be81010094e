import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionXLPipeline

from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.params import Refiner
from synthpairs.generation.diffusion.prompts import (
    MAX_CHUNKS,
    chunk_counts,
    prompt_embeddings,
    prompt_tokenizers,
    truncation_metrics,
)
from tests.generation.conftest import KEYS
from tests.generation.diffusion import tiny

LONG = "x" * 150  # a letter is a token for tiny_tokenizer, whose limit is 64 with two markers


@pytest.fixture(scope="module")
def pipeline(base):
    return StableDiffusionXLPipeline.from_pretrained(base, add_watermarker=False)


def test_tokenizers_come_in_order_of_their_encoders_limits(tmp_path):
    def limits(kind, length):
        made = DiffusionPipeline.from_pretrained(kind(tmp_path / kind.__name__))
        return {one.name: one.limit for one in prompt_tokenizers(made, length, chunks=False)}

    assert list(limits(tiny.sd3, None).items()) == [("tokenizer", 64), ("tokenizer_2", 64), ("tokenizer_3", 256)]
    assert list(limits(tiny.sd3, 8).items()) == [("tokenizer_3", 8), ("tokenizer", 64), ("tokenizer_2", 64)]
    assert limits(tiny.pixart, None) == {"tokenizer": 120}
    assert limits(tiny.flux, None) == {"tokenizer": 64, "tokenizer_2": 512}
    three = prompt_tokenizers(DiffusionPipeline.from_pretrained(tmp_path / "sd3"), 4, chunks=False)
    assert truncation_metrics(three, ["a dog", "two cats"]) == {"prompts_truncated": 0}
    assert truncation_metrics(three, ["a dog", "word word word word", LONG]) == {
        "prompts_truncated": 1, "prompt_tokens_longest": 152,  # a word is a token for this T5, with one marker
        "prompts_truncated_by": {"tokenizer": 1, "tokenizer_2": 1, "tokenizer_3": 1},
    }  # fmt: skip


def test_captions_have_as_many_chunks_as_they_need(pipeline):
    both = prompt_tokenizers(pipeline, None, chunks=True)
    assert {one.limit for one in both} == {62 * MAX_CHUNKS + 2}
    texts = ["", "a dog", "x" * 62, "x" * 63, "x" * 124, LONG, "x" * 10_000]
    assert chunk_counts(both, texts) == [1, 1, 1, 2, 2, 3, MAX_CHUNKS]
    assert truncation_metrics(both, [LONG]) == {"prompts_truncated": 0}
    assert truncation_metrics(both, ["x" * 10_000])["prompts_truncated"] == 1


@pytest.mark.parametrize("negative", [None, "", "blurred"])
@torch.inference_mode()
def test_embeddings_of_one_chunk_are_the_pipelines(pipeline, negative):
    ours = prompt_embeddings(pipeline, ["a dog", "two cats"], 1, negative, guided=True)
    negatives = None if negative is None else [negative] * 2
    encoded = pipeline.encode_prompt(["a dog", "two cats"], negative_prompt=negatives)
    names = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
    theirs = dict(zip(names, encoded, strict=True))
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_long_captions_are_encoded_whole_and_short_ones_do_not_change(settings, base, refiner):
    cut, chunked = (
        Generator(settings(generator=str(base), long_prompts=how, negative_prompt="blurred"))
        for how in ("cut", "chunk")
    )
    assert cut.fingerprint != chunked.fingerprint
    short = cut.generate_images(KEYS[:2], ["a dog", "two cats"])
    assert np.array_equal(short, chunked.generate_images(KEYS[:2], ["a dog", "two cats"]))
    other = LONG[:140] + "z" * 10
    assert np.array_equal(cut.generate_images(KEYS[:1], [LONG]), cut.generate_images(KEYS[:1], [other]))
    assert not np.array_equal(chunked.generate_images(KEYS[:1], [LONG]), chunked.generate_images(KEYS[:1], [other]))
    mixed = chunked.generate_images(KEYS[:4], ["a dog", LONG, "two cats", other])
    assert np.array_equal(mixed[0], short[0]), "a long neighbour changes nothing"
    assert np.array_equal(mixed[3], chunked.generate_images(KEYS[3:4], [other])[0])
    refined = Generator(
        settings(
            generator=str(base), long_prompts="chunk", num_inference_steps=4,
            refiner=Refiner(model=str(refiner), base_share=0.5),
        )
    )  # fmt: skip
    assert not np.array_equal(refined.generate_images(KEYS[:1], [LONG]), refined.generate_images(KEYS[:1], [other]))
