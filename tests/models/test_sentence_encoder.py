import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from synthpairs.models.sentence_encoder import load

TEXTS = ["a dog", "x", "an elephant on a bus", "big red cat", "a dog", "q w e r t y u i o p" * 4, "", "Two CATS"]


def test_an_embedding_is_the_normalised_mean_over_the_texts_tokens(encoder_folder):
    encoder = load(str(encoder_folder), batch=3)
    model, tokenizer = AutoModel.from_pretrained(encoder_folder).eval(), AutoTokenizer.from_pretrained(encoder_folder)
    vectors = encoder.embed(TEXTS)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=32).input_ids])
        with torch.inference_mode():
            mean = model(input_ids=ids).last_hidden_state[0].mean(0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=0.01)
    assert encoder.embed([]).shape == (0, 16)


def test_control_tokens_of_a_text_are_read_as_text(encoder_folder):
    encoder = load(str(encoder_folder), batch=1)
    token = encoder.tokenizer.all_special_tokens[0]
    one, other = encoder.embed([f"a dog {token}", f"a dog {token[0]} {token[1:]}"])
    assert np.array_equal(one, other)


def test_texts_are_truncated_at_the_trained_length_and_counted(encoder_folder, caplog):
    encoder = load(str(encoder_folder), batch=4)
    one, other = encoder.embed(["a" * 50 + "b", "a" * 50 + "c"])
    assert np.array_equal(one, other)
    assert "2 of 2 captions have more than 32 tokens" in caplog.text
    assert json.loads(json.dumps(encoder.inputs)) == encoder.inputs
    assert list(encoder.inputs["weights"]) == ["model.safetensors"]
    assert (encoder.inputs["pooling"], encoder.inputs["limit"]) == ("mean", 32)


def test_an_encoder_that_cannot_be_loaded_is_an_error(encoder_folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"diversity\.encoder: 'models/none' is neither a directory"):
        load("models/none", batch=4)
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing: no sentence encoder"):
        load(str(tmp_path), batch=4)
    other = tmp_path / "other"
    shutil.copytree(encoder_folder, other)
    (other / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    with pytest.raises(ValueError, match="does not pool by the mean"):
        load(str(other), batch=4)
