import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from desk_models import adapter as adapter
from desk_models.adapter import ConversationSampler, Curriculum, Difficulty, build, evaluate
from desk_models.blurred import PATCHES
from synthpairs.core.determinism import compute_dtype
from synthpairs.vlm.examples import IGNORED
from synthpairs.vlm.model import assemble
from tests.evaluation.benchmarks.conftest import concepts, drawings  # noqa: F401
from tests.vlm.conftest import parts  # noqa: F401

BLURRED = Difficulty(0.0, 1.0, (0.5, 1.0))


@pytest.fixture
def sampler(parts, drawings, concepts, monkeypatch):  # noqa: F811
    """A sampler of few scenes of the small world of tests/evaluation/benchmarks."""
    monkeypatch.setattr(adapter, "load_drawings", lambda: drawings)
    monkeypatch.setattr(adapter, "trained_concepts", lambda: concepts)
    monkeypatch.setattr(adapter, "SKETCHES", 60)
    monkeypatch.setattr(adapter, "TEXTS", 12)
    model, processor = assemble(parts)
    return ConversationSampler(processor, model.get_input_embeddings().weight.detach().double(), 0.5, 0)


def samples(sampler, difficulty, count=60):
    rng = np.random.default_rng(0)
    return [sampler.sample(rng, difficulty, 3) for _ in range(count)]


def test_a_curriculum_goes_from_its_first_values_to_its_last():
    curriculum = Curriculum(steps=10, words=(1.0, 0.0), patches=(0.0, 1.0), clearness=((0.9, 1.0), (0.1, 0.5)))
    assert curriculum.at(0) == Difficulty(1.0, 0.0, (0.9, 1.0))
    assert curriculum.at(5) == Difficulty(0.5, 0.5, (0.5, 0.75))
    assert curriculum.at(10) == curriculum.at(99) == Difficulty(0.0, 1.0, (0.1, 0.5))


def test_tokens_are_at_the_image_tokens_positions(sampler):
    image = sampler.processor.image_token_id
    for difficulty, counts in (
        (BLURRED, {0, 1 + PATCHES}),
        (Difficulty(0, 0, (1, 1)), {0, 1}),
        (Difficulty(1, 0, (1, 1)), {0}),
    ):
        conversations = samples(sampler, difficulty)
        assert {example.ids.count(image) for example in conversations} == counts
        assert all(len(example.tokens) == example.ids.count(image) for example in conversations)


def test_only_answers_and_their_ends_are_learnt(sampler):
    tokenizer = sampler.processor.tokenizer
    for example in samples(sampler, BLURRED, 20):
        learnt = tokenizer.decode([label for label in example.labels if label != IGNORED])
        answers = [question.answer for question in example.questions]
        if answers:
            assert learnt == "".join(f"{answer}<|im_end|>" for answer in answers)


def test_a_conversation_in_words_has_the_caption(sampler):
    for example in (example for example in samples(sampler, Difficulty(1.0, 0.0, (1, 1))) if example.questions):
        text = sampler.processor.tokenizer.decode(example.ids)
        first = example.questions[0].scene.things[0].name
        assert first[:3] in text.split("\n")[1]


def test_the_adapter_learns_and_is_restored_from_a_checkpoint(sampler, parts):  # noqa: F811
    torch.manual_seed(0)
    model = build(parts.llm, 4)
    trained = {name.split(".")[-3] for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {"lora_A", "lora_B"}
    image_token = sampler.processor.image_token_id
    batch = samples(sampler, BLURRED, 8)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=0.02)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(*model(batch, image_token))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1  # little can be learnt under a frozen random head
    again = build(parts.llm, 4)
    again.load_state_dict({**model.state_dict(), "step": torch.tensor(7.0)})
    assert again.step == 7
    with torch.no_grad():
        assert torch.equal(again(batch, image_token)[0], model(batch, image_token)[0])


def test_the_adapter_merges_into_the_vision_language_model(sampler, parts, tmp_path):  # noqa: F811
    adapted = build(parts.llm, 4)
    torch.manual_seed(1)
    for name, weight in adapted.llm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.llm.save_pretrained(tmp_path / "adapter")
    plain, _ = assemble(parts)
    model, _ = assemble(dataclasses.replace(parts, adapter=str(tmp_path / "adapter")))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        wanted = adapted.llm.float()(input_ids=ids).logits
        torch.testing.assert_close(model(input_ids=ids).logits.float(), wanted, atol=0.05, rtol=0.05)
        assert (plain(input_ids=ids).logits.float() - wanted).abs().max() > 0.1
    assert {weight.dtype for weight in model.model.language_model.parameters()} == {compute_dtype()}
    assert all(weight.requires_grad for weight in model.model.language_model.parameters())


def test_an_adapter_of_another_model_is_an_error(parts, tmp_path):  # noqa: F811
    model = build(parts.llm, 4)
    model.llm.get_base_model().base_model.layers.pop(1)
    model.llm.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"vlm.adapter: .* is of another model than vlm.llm"):
        assemble(dataclasses.replace(parts, adapter=str(tmp_path / "adapter")))
    with pytest.raises(FileNotFoundError, match=r"vlm.adapter: 'nowhere' is neither a directory"):
        assemble(dataclasses.replace(parts, adapter="nowhere"))


def test_evaluate(sampler, parts):  # noqa: F811
    shares = evaluate(build(parts.llm, 2), sampler, sampler.processor.image_token_id, count=8)
    assert shares.keys() == {"in_words", "clearness_0.8", "clearness_0.4", "clearness_0.2"}
    assert all(0 <= share <= 1 for share in shares.values())
