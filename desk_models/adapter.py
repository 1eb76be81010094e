"""Training of the language model's adapter on text tasks; run as `python -m desk_models.adapter`.

SmolLM2-135M cannot compare: given a description of a picture in words and asked whether a thing is in it, it answers at chance
level. Vicuna, fifty times its size, can from the start. So SmolLM2 learns it before any training on pictures, from
conversations about scenes that are never rendered: in some the scene's caption takes the picture's place, in the others tokens
made of its words (blurred.py), less blurred ones first. No picture, vision tower or projector takes part. The result is a
low-rank adapter (Hu et al. 2021, arXiv 2106.09685), written to desk_models/trained/adapter.
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

from desk_models.blurred import PATCHES, BlurredCaptions
from desk_models.loop import Schedule, autocast, train
from desk_models.pool import load_drawings, params, trained_concepts
from synthpairs.core.config import load_params
from synthpairs.core.determinism import best_device
from synthpairs.core.storage import write_json
from synthpairs.emoji.pool import SIDE
from synthpairs.emoji.tasks.composer import SceneComposer, choose
from synthpairs.emoji.tasks.instructions import questions_about
from synthpairs.emoji.tasks.questions import Question, four_kinds
from synthpairs.emoji.tasks.words import text_questions, word_classes
from synthpairs.emoji.wording import random_caption
from synthpairs.vlm.examples import IGNORED, Example, chat_segments, collate, tokenize_segments
from synthpairs.vlm.model import IMAGE_TOKEN, assemble
from synthpairs.vlm.params import Pretrain, Vlm
from synthpairs.vlm.projector_init import caption_targets

OUT = Path("desk_models/trained/adapter")
METRICS = Path("desk_models/adapter.json")
SKETCHES = 4000  # scenes
TEXTS, TEXT_SHARE = 200, 0.1  # questions about words instead of scenes, as in the instruction data


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Probabilities that a conversation has the caption in words, else that it has patches; the range of clearness."""

    words: float
    patches: float
    clearness: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curriculum:
    """How the conversations get harder over the first `steps`; each pair is (first, last)."""

    steps: int
    words: tuple[float, float]  # share of conversations with the caption in words
    patches: tuple[float, float]  # share of the others with patches after the class token
    clearness: tuple[tuple[float, float], tuple[float, float]]  # range of the class token's clearness

    def at(self, step: int) -> Difficulty:
        """Linear interpolation at a step."""
        done = min(1.0, step / self.steps)
        words, patches, clearness = (
            (1 - done) * np.asarray(first) + done * np.asarray(last)
            for first, last in (self.words, self.patches, self.clearness)
        )
        return Difficulty(float(words), float(patches), (float(clearness[0]), float(clearness[1])))


@dataclass(frozen=True, slots=True)
class TokenExample(Example):
    """A conversation whose picture is `tokens`, embeddings [0, 1 or 17, width] at the image tokens' positions."""

    tokens: Tensor
    questions: list[Question]


class ConversationSampler:
    """Samples conversations about scenes that are never rendered."""

    def __init__(self, processor: LlavaProcessor, words: Tensor, whitening: float, seed: int) -> None:
        self.processor = processor
        drawings = load_drawings()
        self.composer = SceneComposer(drawings, "train", trained_concepts(), SIDE)
        self.kinds = four_kinds(self.composer)
        rng = np.random.default_rng([seed, 2])
        self.texts = text_questions(word_classes(drawings)[1], TEXTS, rng)
        self.scenes = [self.composer.sketch(rng, choose(rng, self.composer.names)) for _ in range(SKETCHES)]
        captions = [
            processor.tokenizer(random_caption(scene, rng, {}) + "\n", add_special_tokens=False).input_ids
            for scene in self.scenes
        ]
        self.blurred = BlurredCaptions.of(caption_targets(captions, words), words, whitening)

    def sample(self, rng: np.random.Generator, difficulty: Difficulty, turns: int) -> TokenExample:
        """A conversation of up to `turns` questions about a scene, or with TEXT_SHARE one about words."""
        if rng.random() < TEXT_SHARE:
            question, answer = choose(rng, self.texts)
            return self._example([{"question": question, "answer": answer}], "", self.blurred.captions[:0], [])
        index = int(rng.integers(len(self.scenes)))
        scene = self.scenes[index]
        in_words, patches = rng.random() < difficulty.words, PATCHES if rng.random() < difficulty.patches else 0
        tokens = self.blurred.tokens(index, float(rng.uniform(*difficulty.clearness)), patches, rng)
        shown = random_caption(scene, rng, {}) if in_words else IMAGE_TOKEN * len(tokens)
        questions = questions_about(scene, scene.names[0], self.composer, self.kinds, turns, rng)
        conversation = [{"question": question.worded(rng), "answer": question.answer} for question in questions]
        return self._example(conversation, shown, tokens[:0] if in_words else tokens, questions)

    def _example(self, turns: list[dict], shown: str, tokens: Tensor, questions: list[Question]) -> TokenExample:
        """The conversation with `shown` in place of the image token; without one if it is empty."""
        segments = chat_segments(turns, bool(shown), self.processor)
        segments = [(text.replace(IMAGE_TOKEN, shown), learnt) for text, learnt in segments]
        return TokenExample(*tokenize_segments(segments, self.processor), None, tokens, questions)


class AdapterModel(nn.Module):
    """The language model with its adapter; its state is the adapter's and `step`, the number of training steps."""

    step: Tensor

    def __init__(self, llm: PeftModel) -> None:
        super().__init__()
        self.llm = llm
        self.register_buffer("step", torch.zeros(()))

    def forward(self, batch: Sequence[TokenExample], image_token: int) -> tuple[Tensor, Tensor]:
        """Logits [n, vocabulary] and labels [n] of all learnt tokens."""
        padded = collate(batch)
        ids, labels = padded["input_ids"].to(best_device()), padded["labels"].to(best_device())
        embedded = self.llm.get_input_embeddings()(ids).float()
        embedded[ids == image_token] = torch.cat([example.tokens for example in batch]).to(embedded)
        with autocast():
            inner = self.llm.get_base_model()  # the head runs only where there is a label
            hidden = inner.base_model(inputs_embeds=embedded.bfloat16(), use_cache=False).last_hidden_state
            learnt = labels[:, 1:] != IGNORED
            return inner.lm_head(hidden[:, :-1][learnt]).float(), labels[:, 1:][learnt]

    def state_dict(self, *_: Any, **__: Any) -> Any:
        """The adapter's weights and the step."""
        return get_peft_model_state_dict(self.llm) | {"step": self.step}

    def load_state_dict(self, state_dict: Any, *_: Any, **__: Any) -> Any:
        """Load what `state_dict` gave."""
        self.step.copy_(state_dict["step"])
        weights = {name: weight for name, weight in state_dict.items() if name != "step"}
        return set_peft_model_state_dict(self.llm, weights)


def build(llm: str, rank: int) -> AdapterModel:
    """The language model of a directory, frozen, with a new adapter on all its linear layers but the head."""
    model = AutoModelForCausalLM.from_pretrained(llm, dtype=torch.bfloat16, use_safetensors=True).requires_grad_(False)
    if best_device().type == "cpu":
        model.set_attn_implementation("eager")  # see synthpairs/vlm/training.py
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return AdapterModel(adapted)


@torch.no_grad()
def evaluate(model: AdapterModel, sampler: ConversationSampler, image_token: int, count: int = 256) -> dict[str, float]:
    """Accuracy on yes-no questions about the presence of a thing, with captions in words and at three degrees of clearness."""
    accuracy = {}
    difficulties = {f"clearness_{clear}": Difficulty(0, 1, (clear, clear)) for clear in (0.8, 0.4, 0.2)}
    for name, difficulty in {"in_words": Difficulty(1, 0, (1, 1)), **difficulties}.items():
        rng, right, total = np.random.default_rng(7), 0, 0
        while total < count:
            batch = [sampler.sample(rng, difficulty, 1) for _ in range(16)]
            batch = [example for example in batch if example.questions and example.questions[0].category == "existence"]
            logits, labels = model(batch, image_token)
            first = torch.arange(0, len(labels), 2)  # an answer is one token and its end
            right += int((logits[first].argmax(1) == labels[first]).sum())
            total += len(first)
        accuracy[name] = round(right / total, 3)
    return accuracy


def main() -> None:
    """Train, evaluate, write."""
    spec, seed = params("adapter"), params()["seed"]
    torch.manual_seed(seed)
    vlm = replace(load_params(Vlm, "vlm"), adapter=None)
    processor, model = assemble(vlm)[1], build(vlm.llm, spec.pop("rank"))
    image_token = processor.image_token_id
    curriculum, turns = Curriculum(**spec.pop("course")), spec.pop("turns")
    words = model.llm.get_input_embeddings().weight.double()
    init = load_params(Pretrain, "pretrain").projector_init
    sampler = ConversationSampler(processor, words, init.whitening if init else 0.0, seed)
    schedule = Schedule(**spec)

    def loss_of(trained: nn.Module, rng: np.random.Generator) -> Tensor:
        difficulty = curriculum.at(int(model.step))
        model.step += 1
        batch = [sampler.sample(rng, difficulty, int(rng.integers(1, turns + 1))) for _ in range(schedule.batch)]
        return F.cross_entropy(*trained(batch, image_token))

    spent = train(model, loss_of, schedule, seed, "adapter")
    accuracy = evaluate(model, sampler, image_token)
    logging.info("accuracy %s", accuracy)
    for name, weight in model.llm.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.half()
    model.llm.save_pretrained(OUT)
    (OUT / "README.md").unlink(missing_ok=True)  # peft's card, empty but for its headings
    write_json(METRICS, spent | {"existence": accuracy})


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
