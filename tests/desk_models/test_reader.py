"""Reading practice: conversations about scenes that nobody renders, and an adapter that merges."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from desk_models import reader
from desk_models.blurred import PATCHES
from desk_models.reader import Classroom, Course, Lesson, build, evaluate
from synthpairs.core.determinism import compute_dtype
from synthpairs.vlm.examples import IGNORED
from synthpairs.vlm.model import assemble
from tests.evaluation.benchmarks.conftest import concepts, drawings  # noqa: F401
from tests.vlm.conftest import parts  # noqa: F401

BLURRED = Lesson(0.0, 1.0, (0.5, 1.0))


@pytest.fixture
def classroom(parts, drawings, concepts, monkeypatch):  # noqa: F811
    """A small class: few sketches of the small world of tests/benchmarks."""
    monkeypatch.setattr(reader, "load_drawings", lambda: drawings)
    monkeypatch.setattr(reader, "trained_concepts", lambda: concepts)
    monkeypatch.setattr(reader, "SKETCHES", 60)
    monkeypatch.setattr(reader, "TEXTS", 12)
    model, processor = assemble(parts)
    return Classroom(processor, model.get_input_embeddings().weight.detach().double(), 0.5, 0)


def turns(classroom, lesson, count=60):
    rng = np.random.default_rng(0)
    return [classroom.turn(rng, lesson, 3) for _ in range(count)]


def test_a_course_goes_from_its_first_values_to_its_last_and_stays():
    course = Course(steps=10, words=(1.0, 0.0), patches=(0.0, 1.0), clearness=((0.9, 1.0), (0.1, 0.5)))
    assert course.at(0) == Lesson(1.0, 0.0, (0.9, 1.0))
    assert course.at(5) == Lesson(0.5, 0.5, (0.5, 0.75))
    assert course.at(10) == course.at(99) == Lesson(0.0, 1.0, (0.1, 0.5))


def test_tokens_stand_where_a_picture_would(classroom):
    image = classroom.processor.image_token_id
    for lesson, counts in ((BLURRED, {0, 1 + PATCHES}), (Lesson(0, 0, (1, 1)), {0, 1}), (Lesson(1, 0, (1, 1)), {0})):
        conversations = turns(classroom, lesson)
        assert {turned.ids.count(image) for turned in conversations} == counts
        assert all(len(turned.tokens) == turned.ids.count(image) for turned in conversations)


def test_only_answers_and_their_ends_are_learnt(classroom):
    tokenizer = classroom.processor.tokenizer
    for turned in turns(classroom, BLURRED, 20):
        learnt = tokenizer.decode([label for label in turned.labels if label != IGNORED])
        answers = [question.answer for question in turned.asked]
        if answers:
            assert learnt == "".join(f"{answer}<|im_end|>" for answer in answers)


def test_in_words_the_caption_is_there(classroom):
    for turned in (turned for turned in turns(classroom, Lesson(1.0, 0.0, (1, 1))) if turned.asked):
        text = classroom.processor.tokenizer.decode(turned.ids)
        first = turned.asked[0].scene.things[0].name
        assert first[:3] in text.split("\n")[1]


def test_a_reader_learns_and_comes_back_from_its_checkpoint(classroom, parts):  # noqa: F811
    torch.manual_seed(0)
    learner = build(parts.llm, 4)
    trained = {name.split(".")[-3] for name, weight in learner.named_parameters() if weight.requires_grad}
    assert trained == {"lora_A", "lora_B"}
    picture = classroom.processor.image_token_id
    batch = turns(classroom, BLURRED, 8)
    optimizer = torch.optim.Adam([weight for weight in learner.parameters() if weight.requires_grad], lr=0.02)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(*learner(batch, picture))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1  # random layers under a frozen head leave little to learn
    again = build(parts.llm, 4)
    again.load_state_dict({**learner.state_dict(), "step": torch.tensor(7.0)})
    assert again.step == 7
    with torch.no_grad():
        assert torch.equal(again(batch, picture)[0], learner(batch, picture)[0])


def test_the_adapter_merges_into_the_vision_language_model(classroom, parts, tmp_path):  # noqa: F811
    learner = build(parts.llm, 4)
    torch.manual_seed(1)
    for name, weight in learner.llm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    learner.llm.save_pretrained(tmp_path / "adapter")
    plain, _ = assemble(parts)
    model, _ = assemble(dataclasses.replace(parts, adapter=str(tmp_path / "adapter")))
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        wanted = learner.llm.float()(input_ids=ids).logits
        torch.testing.assert_close(model(input_ids=ids).logits.float(), wanted, atol=0.05, rtol=0.05)
        assert (plain(input_ids=ids).logits.float() - wanted).abs().max() > 0.1
    assert {weight.dtype for weight in model.model.language_model.parameters()} == {compute_dtype()}
    assert all(weight.requires_grad for weight in model.model.language_model.parameters())


def test_an_adapter_of_another_model_is_refused(parts, tmp_path):  # noqa: F811
    learner = build(parts.llm, 4)
    learner.llm.get_base_model().base_model.layers.pop(1)
    learner.llm.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"vlm.adapter: .* is of another model than vlm.llm"):
        assemble(dataclasses.replace(parts, adapter=str(tmp_path / "adapter")))
    with pytest.raises(FileNotFoundError, match=r"vlm.adapter is nowhere, which holds no adapter"):
        assemble(dataclasses.replace(parts, adapter="nowhere"))


def test_measuring_asks_what_is_there(classroom, parts):  # noqa: F811
    shares = evaluate(build(parts.llm, 2), classroom, classroom.processor.image_token_id, count=8)
    assert shares.keys() == {"in_words", "clearness_0.8", "clearness_0.4", "clearness_0.2"}
    assert all(0 <= share <= 1 for share in shares.values())
