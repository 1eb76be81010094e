import dataclasses
import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from transformers import CLIPVisionModel

from synthpairs.core.determinism import compute_dtype
from synthpairs.vlm.examples import caption_examples
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import RidgeInit
from synthpairs.vlm.projector_init import BATCH, SufficientStats, fit_projector, whitening


def fitted(vlm, pairs, ridge, whitening=0.0):
    """The fitted projector, its metrics, the examples, and the model."""
    model, processor = assemble(vlm)
    examples, _ = caption_examples(pairs, processor, 80)
    init = RidgeInit(ridge=ridge, whitening=whitening)
    metrics = fit_projector(model, SufficientStats.of(model, examples), init, "pretrain")
    return model.model.multi_modal_projector, metrics, examples, model


def features_of(vlm, examples):
    """Vision features: the class token, or every patch where there is none."""
    tower = CLIPVisionModel.from_pretrained(vlm.vision_tower, dtype=torch.bfloat16).to(compute_dtype())
    with torch.no_grad():
        batches = torch.stack([example.pixels for example in examples]).to(compute_dtype()).split(BATCH)
        states = torch.cat([tower(batch, output_hidden_states=True).hidden_states[-2] for batch in batches]).float()
    return states[:, :1] if vlm.vision_feature_select == "full" else states[:, 1:]


def targets_of(captions, model, tokenizer):
    """The embedding table, and every caption's mean embedding weighted by inverse document frequency."""
    table = model.get_input_embeddings().weight.detach().double().numpy()
    texts = [tokenizer(f"{caption}\n").input_ids for caption in captions]
    counts = Counter(token for ids in texts for token in set(ids))
    idf = {token: max(math.log(len(texts) / count), 0.01) for token, count in counts.items()}
    return table, np.array([np.average(table[ids], axis=0, weights=[idf[token] for token in ids]) for ids in texts])


@pytest.mark.parametrize("select", ["default", "full"])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_the_projector_is_the_ridge_regression_of_the_captions_embeddings(narrow, pairs, select, ridge):
    vlm = dataclasses.replace(narrow, vision_feature_select=select)
    projector, metrics, examples, model = fitted(vlm, pairs(BATCH + 6), ridge)
    features = features_of(vlm, examples)
    assert features.shape == (BATCH + 6, 1 if select == "full" else 4, 8)
    table, targets = targets_of([text for _, text, _ in pairs(BATCH + 6)], model, assemble(vlm)[1].tokenizer)
    x = features.flatten(0, 1).double().numpy()
    y = np.repeat(targets, features.shape[1], axis=0)
    x, y, centre = x - x.mean(0), y - y.mean(0), y.mean(0)
    penalty = math.sqrt(ridge * len(x) * x.var(0).mean()) * np.eye(8)  # as further rows with zero targets
    linear = np.linalg.lstsq(np.vstack([x, penalty]), np.vstack([y, np.zeros((8, 24))]))[0]
    assert metrics == {"r2": round(1 - np.square(y - x @ linear).sum() / np.square(y).sum(), 3)}
    expected = x @ linear * table.std(ddof=1) / (x @ linear).std(ddof=1) + centre
    with torch.no_grad():
        got = projector(features.flatten(0, 1)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-3 * table.std())


@pytest.mark.parametrize("degree", [0.0, 0.5, 1.0])
def test_whitening_equalises_the_variances(degree):
    outputs = torch.randn(50, 6, dtype=torch.float64, generator=torch.manual_seed(0)) @ torch.diag(
        torch.tensor([9.0, 5.0, 2.0, 1.0, 0.5, 0.0], dtype=torch.float64)
    )
    before, after = (torch.linalg.svdvals(a) for a in (outputs, outputs @ whitening(outputs.T @ outputs, degree)))
    torch.testing.assert_close(after[:5], before[:5] ** (1 - degree))
    assert after[5] < 1e-6  # a direction without variance stays so


def test_the_perceptron_is_linear_and_its_spare_units_have_no_effect(narrow, parts, pairs):
    projector, *_ = fitted(narrow, pairs(20), 0.1)
    one, two = torch.randn(2, 50, 8, generator=torch.manual_seed(0)) * 5
    zero = projector(torch.zeros(8))
    torch.testing.assert_close(projector(one) - zero, zero - projector(-one), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(projector(one + two) + zero, projector(one) + projector(two), rtol=1e-3, atol=1e-5)
    assert not projector.linear_2.weight[:, 16:].any()
    assert projector.linear_1.weight[16:].any()  # or they could never learn
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in projector.parameters())
    with pytest.raises(
        ValueError, match=r"pretrain.projector_init must be null here: .* of 24 cannot hold a linear map of 16"
    ):
        fitted(parts, pairs(8), 0.1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_equal_captions_leave_the_projector_random(narrow, pairs, count):
    _, metrics, *_ = fitted(dataclasses.replace(narrow, vision_feature_select="full"), pairs(count + 2), 1e-6)
    assert metrics["r2"] >= 0.999, "without a penalty fewer pictures than features are fitted exactly"
    same = [(key, "a dog", picture) for key, _, picture in pairs(count)]
    projector, metrics, _, _ = fitted(narrow, same, 0.1)
    assert metrics == {"r2": None}
    before = assemble(narrow)[0].model.multi_modal_projector.state_dict()
    assert all(torch.equal(weight, before[name]) for name, weight in projector.state_dict().items())


def test_stats_of_two_data_sets_add_up_to_those_of_both(narrow, pairs, tmp_path):
    model, processor = assemble(narrow)
    examples, _ = caption_examples(pairs(20), processor, 80)
    whole, again = SufficientStats.of(model, examples), SufficientStats.of(model, examples)
    (whole + again).save(tmp_path / "moments.safetensors")
    for name, value in vars_of(SufficientStats.read(tmp_path / "moments.safetensors")).items():
        torch.testing.assert_close(value, 2 * vars_of(whole)[name])
    init = RidgeInit(ridge=0.1, whitening=0.5)
    fit_projector(model, whole, init, "pretrain")
    once = {name: weight.clone() for name, weight in model.model.multi_modal_projector.state_dict().items()}
    fit_projector(model, whole + again, init, "pretrain")  # the penalty grows with the data
    for name, weight in model.model.multi_modal_projector.state_dict().items():
        torch.testing.assert_close(weight, once[name], rtol=1e-2, atol=1e-5)
    text_only = [dataclasses.replace(example, picture=None) for example in islice(examples, 5)]
    mixed = vars_of(SufficientStats.of(model, [*examples, *text_only]))  # without a picture they do not count
    assert all(torch.equal(value, vars_of(whole)[name]) for name, value in mixed.items())


def vars_of(stats):
    return {field.name: getattr(stats, field.name) for field in dataclasses.fields(stats)}


def test_whitened_outputs_have_more_equal_variances_at_the_same_norm(narrow, pairs):
    (flat, _, examples, _), (even, *_) = (fitted(narrow, pairs(40), 0.1, degree) for degree in (0.0, 0.8))
    features = features_of(narrow, examples).flatten(0, 1)
    with torch.no_grad():
        flat, even = (torch.linalg.svdvals(p(features) - p(features).mean(0))[:4] for p in (flat, even))
    torch.testing.assert_close(even.norm(), flat.norm(), rtol=0.05, atol=0)
    assert even[3] / even[0] > flat[3] / flat[0]
