"""Teach the language model to read a picture's tokens, in words alone; run as `python -m desk_models.reader`.

SmolLM2-135M cannot compare: told in words what a picture shows, and asked whether a thing is in it, its answers are no better
than chance. Vicuna, fifty times its size, brings that along to LLaVA. Here it is practised before any training on pictures,
on scenes that are drawn up but never rendered: part of the time the scene's caption stands where the picture would, the rest
of the time tokens made of its words (blurred.py), clear ones first. No picture, eye or projector takes part. What is learnt is
a low-rank adapter (Hu et al. 2021, arXiv 2106.09685), written to desk_models/trained/reader.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlavaProcessor

from desk_models.blurred import PATCHES, Blur
from desk_models.loop import Schedule, autocast, train
from desk_models.pool import load_drawings, params, trained_concepts
from synthpairs.core.config import load_params
from synthpairs.core.determinism import best_device
from synthpairs.core.storage import write_json
from synthpairs.emoji.pool import SIDE
from synthpairs.emoji.tasks.instructions import questions_about
from synthpairs.emoji.tasks.questions import Asked, four_kinds
from synthpairs.emoji.tasks.studio import Studio, choose
from synthpairs.emoji.tasks.words import text_questions, word_classes
from synthpairs.emoji.wording import word_scene
from synthpairs.vlm.examples import IGNORED, Example, collate, conversation, written
from synthpairs.vlm.model import IMAGE_TOKEN, assemble
from synthpairs.vlm.params import Align, Vlm
from synthpairs.vlm.warmstart import caption_targets

OUT = Path("desk_models/trained/reader")
METRICS = Path("desk_models/reader.json")
SKETCHES = 4000  # scenes whose captions are mixed
TEXTS, TEXT_SHARE = 200, 0.1  # questions about no scene, so that the instruction data's bring nothing unheard of


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the practice grows harder over its first `steps`: from words and clear tokens to blurred ones among patches."""

    steps: int
    words: tuple[float, float]  # share of conversations with the caption itself, at first and at last
    patches: tuple[float, float]  # share of the others in which patches stand around the class token
    clearness: tuple[tuple[float, float], tuple[float, float]]  # least and most, the class token's

    def at(self, step: int) -> "Lesson":
        """What a step practises."""
        done = min(1.0, step / self.steps)
        words, patches, clearness = (
            (1 - done) * np.asarray(first) + done * np.asarray(last)
            for first, last in (self.words, self.patches, self.clearness)
        )
        return Lesson(float(words), float(patches), (float(clearness[0]), float(clearness[1])))


@dataclass(frozen=True, slots=True)
class Lesson:
    """Probabilities that a conversation is in words, and that it has patches otherwise; the range of clearness."""

    words: float
    patches: float
    clearness: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Turned(Example):
    """A conversation without pixels; `tokens` are the embeddings of its picture's place [0, 1 or 17, width]."""

    tokens: Tensor
    asked: list[Asked]


class Classroom:
    """Makes conversations about scenes that nobody renders."""

    def __init__(self, processor: LlavaProcessor, words: Tensor, whitening: float, seed: int) -> None:
        self.processor = processor
        drawings = load_drawings()
        self.studio = Studio(drawings, "train", trained_concepts(), SIDE)
        self.kinds = four_kinds(self.studio)
        rng = np.random.default_rng([seed, 2])
        self.texts = text_questions(word_classes(drawings)[1], TEXTS, rng)
        self.scenes = [self.studio.sketch(rng, choose(rng, self.studio.names)) for _ in range(SKETCHES)]
        captions = [
            processor.tokenizer(word_scene(scene, rng, {}) + "\n", add_special_tokens=False).input_ids
            for scene in self.scenes
        ]
        self.blur = Blur.of(caption_targets(captions, words), words, whitening)

    def turn(self, rng: np.random.Generator, lesson: Lesson, turns: int) -> Turned:
        """A conversation of up to `turns` questions about a scene, or now and then one about a word."""
        if rng.random() < TEXT_SHARE:
            question, answer = choose(rng, self.texts)
            return self._written([{"question": question, "answer": answer}], "", self.blur.captions[:0], [])
        place = int(rng.integers(len(self.scenes)))
        scene = self.scenes[place]
        in_words, around = rng.random() < lesson.words, PATCHES if rng.random() < lesson.patches else 0
        tokens = self.blur.tokens(place, float(rng.uniform(*lesson.clearness)), around, rng)
        shown = word_scene(scene, rng, {}) if in_words else IMAGE_TOKEN * len(tokens)
        asked = questions_about(scene, scene.names[0], self.studio, self.kinds, turns, rng)
        said = [{"question": question.worded(rng), "answer": question.answer} for question in asked]
        return self._written(said, shown, tokens[:0] if in_words else tokens, asked)

    def _written(self, said: list[dict], shown: str, tokens: Tensor, asked: list[Asked]) -> Turned:
        """The conversation with `shown` where the picture would stand; none without."""
        pieces = conversation(said, bool(shown), self.processor)
        ids, labels = written([(text.replace(IMAGE_TOKEN, shown), learnt) for text, learnt in pieces], self.processor)
        return Turned(ids, labels, None, tokens, asked)


class Reader(nn.Module):
    """The language model with its adapter; its state is the adapter's, and `step`, the number of batches seen."""

    step: Tensor

    def __init__(self, llm: PeftModel) -> None:
        super().__init__()
        self.llm = llm
        self.register_buffer("step", torch.zeros(()))

    def forward(self, batch: Sequence[Turned], picture: int) -> tuple[Tensor, Tensor]:
        """Logits [n, vocabulary] and labels [n] of everything that is learnt; `picture` is the id of a picture's place."""
        padded = collate(batch)
        ids, labels = padded["input_ids"].to(best_device()), padded["labels"].to(best_device())
        embedded = self.llm.get_input_embeddings()(ids).float()
        embedded[ids == picture] = torch.cat([turned.tokens for turned in batch]).to(embedded)
        with autocast():
            inner = self.llm.get_base_model()  # the head runs only where there is something to learn
            hidden = inner.base_model(inputs_embeds=embedded.bfloat16(), use_cache=False).last_hidden_state
            learnt = labels[:, 1:] != IGNORED
            return inner.lm_head(hidden[:, :-1][learnt]).float(), labels[:, 1:][learnt]

    def state_dict(self, *_: Any, **__: Any) -> Any:
        """The adapter's weights and the step."""
        return get_peft_model_state_dict(self.llm) | {"step": self.step}

    def load_state_dict(self, state_dict: Any, *_: Any, **__: Any) -> Any:
        """Take over what `state_dict` gave."""
        self.step.copy_(state_dict["step"])
        weights = {name: weight for name, weight in state_dict.items() if name != "step"}
        return set_peft_model_state_dict(self.llm, weights)


def build(llm: str, rank: int) -> Reader:
    """The language model of that directory, frozen, with a fresh adapter on all its linear layers but the head."""
    model = AutoModelForCausalLM.from_pretrained(llm, dtype=torch.bfloat16, use_safetensors=True).requires_grad_(False)
    if best_device().type == "cpu":
        model.set_attn_implementation("eager")  # see synthpairs/vlm/training.py
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return Reader(adapted)


@torch.no_grad()
def evaluate(reader: Reader, classroom: Classroom, picture: int, count: int = 256) -> dict[str, float]:
    """Share of right yes and no to first questions about scenes: told in words, and through tokens of three clearnesses."""
    found = {}
    lessons = {f"clearness_{clear}": Lesson(0, 1, (clear, clear)) for clear in (0.8, 0.4, 0.2)}
    for name, lesson in {"in_words": Lesson(1, 0, (1, 1)), **lessons}.items():
        rng, right, asked = np.random.default_rng(7), 0, 0
        while asked < count:
            batch = [classroom.turn(rng, lesson, 1) for _ in range(16)]
            logits, labels = reader(
                [turned for turned in batch if turned.asked and turned.asked[0].category == "existence"], picture
            )
            first = torch.arange(0, len(labels), 2)  # an answer of one token and its end
            right += int((logits[first].argmax(1) == labels[first]).sum())
            asked += len(first)
        found[name] = round(right / asked, 3)
    return found


def main() -> None:
    """Practise, measure, write."""
    spec, seed = params("reader"), params()["seed"]
    torch.manual_seed(seed)
    vlm = replace(load_params(Vlm, "vlm"), adapter=None)
    processor, reader = assemble(vlm)[1], build(vlm.llm, spec.pop("rank"))
    picture = processor.image_token_id
    course, turns = Course(**spec.pop("course")), spec.pop("turns")
    words = reader.llm.get_input_embeddings().weight.double()
    classroom = Classroom(
        processor, words, start.whitening if (start := load_params(Align, "align").start) else 0.0, seed
    )
    schedule = Schedule(**spec)

    def loss_of(learner: nn.Module, rng: np.random.Generator) -> Tensor:
        lesson = course.at(int(reader.step))
        reader.step += 1
        batch = [classroom.turn(rng, lesson, int(rng.integers(1, turns + 1))) for _ in range(schedule.batch)]
        return F.cross_entropy(*learner(batch, picture))

    spent = train(reader, loss_of, schedule, seed, "reader")
    measured = evaluate(reader, classroom, picture)
    logging.info("measured %s", measured)
    for name, weight in reader.llm.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.half()
    reader.llm.save_pretrained(OUT)
    (OUT / "README.md").unlink(missing_ok=True)  # peft's card, empty but for its headings
    write_json(METRICS, spent | {"existence": measured})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
