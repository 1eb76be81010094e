import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sentencepiece
import torch

from synthpairs.core.schema import INSTRUCTIONS
from synthpairs.core.storage import Slice, WorkStore, write_table
from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.vlm.examples import (
    IGNORED,
    Conversation,
    Example,
    caption_examples,
    check_skipped,
    collate,
    conversation_examples,
    example_store,
    fingerprint,
    instruction_examples,
    tokenize_segments,
)
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Training
from tests.vlm.conftest import VICUNA_SYSTEM, vicuna

NONE = {"empty": 0, "control_token": 0, "too_long": 0, "unreadable_picture": 0}


TALK = [("what?", "a dog"), ("and the ground?", "red"), ("a cat?", "no")]


def row(*turns, picture=None):
    keyed = [{"question": question, "answer": answer} for question, answer in turns]
    return pd.DataFrame([{"turns": keyed, "picture": picture}])


def learnt(processor, example):
    """The text of each run of learnt tokens."""
    assert len(example.ids) == len(example.labels)
    assert all(label in (IGNORED, token) for token, label in zip(example.ids, example.labels, strict=True))
    runs = groupby(example.labels, lambda label: label != IGNORED)
    return [processor.tokenizer.decode(list(labels)) for learnt, labels in runs if learnt]


def test_a_caption_follows_its_picture_and_is_learnt_with_its_line_end(processor, picture):
    (example,), skipped = caption_examples([("key", " a dog ", picture(0))], processor, 80)
    assert processor.tokenizer.decode(example.ids) == "<image>" * 4 + "a dog\n"
    assert example.labels == [IGNORED] * 4 + example.ids[4:]
    assert example.pixels.shape == (3, 16, 16)
    assert skipped == NONE


@pytest.mark.parametrize("pictured", [True, False])
@pytest.mark.parametrize(("chat", "space", "end"), [("chatml", "", "<|im_end|>"), ("vicuna", " ", "</s>")])
def test_answers_are_learnt_with_their_end_and_prompts_are_those_of_inference(
    parts, chat, space, end, pictured, picture, png
):
    processor = assemble(dataclasses.replace(parts, chat_template=chat))[1]
    if chat == "vicuna":
        (example,), _ = instruction_examples(row(*TALK), processor, 400)
        assert learnt(processor, example) == [f" {answer}<|im_end|>" for _, answer in TALK], "the language model's own"
        processor.tokenizer.add_special_tokens({"eos_token": end})
    (example,), skipped = instruction_examples(row(*TALK, picture=png(0) if pictured else None), processor, 400)
    assert skipped == NONE
    assert learnt(processor, example) == [f"{space}{answer}{end}" for _, answer in TALK]
    texts = zip(("user", "assistant") * 3, [text for turn in TALK for text in turn], strict=True)
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts]
    images = [picture(0)] if pictured else None
    if pictured:
        messages[0]["content"].insert(0, {"type": "image"})
    text = processor.apply_chat_template(messages).removesuffix("\n")  # after the last end token
    whole = processor(text=text, images=images, return_tensors="pt")
    assert example.ids == whole.input_ids[0].tolist()
    prompt = processor.apply_chat_template(messages[:1], add_generation_prompt=True)
    start = processor(text=prompt, images=images).input_ids[0]
    assert example.ids[: len(start)] == list(start)
    assert example.labels[: len(start)] == [IGNORED] * len(start)
    assert example.ids.count(processor.image_token_id) == 4 * pictured
    assert torch.equal(example.pixels, whole.pixel_values[0].bfloat16()) if pictured else example.pixels is None


def test_rows_of_a_file_give_the_same_examples(processor, instructions, tmp_path):
    rows = instructions(8)
    records = enumerate(rows.to_dict("records"))
    table = [{"uid": str(number), "task": "", "drawings": []} | row for number, row in records]
    write_table(tmp_path / "rows.parquet", table, INSTRUCTIONS)
    read = pd.read_parquet(tmp_path / "rows.parquet")
    assert isinstance(read["turns"][1], np.ndarray)
    expected, _ = instruction_examples(rows, processor, 120)
    examples, skipped = instruction_examples(read, processor, 120)
    assert len(examples) == 8
    assert fingerprint(examples) == fingerprint(expected)
    assert skipped == NONE


def test_examples_of_a_killed_training_are_not_tokenised_again(processor, png, tmp_path, monkeypatch):
    monkeypatch.setattr("synthpairs.vlm.examples.CHUNK", 2)
    picture = tmp_path / "a.png"
    picture.write_bytes(png(0))
    talk = row(*TALK)["turns"][0]
    sources = [picture, None, png(1), b"no picture", None]
    conversations = [Conversation(talk, source, where=f"record {index}") for index, source in enumerate(sources)]
    expected, skipped = conversation_examples(conversations, processor, 120)
    store = WorkStore("finetune", "examples")
    tokenised = []
    monkeypatch.setattr("synthpairs.vlm.examples.tokenize_segments",
                        lambda *inputs: tokenised.append(1) or tokenize_segments(*inputs))  # fmt: skip

    def again(max_tokens=120):
        tokenised.clear()
        with example_store("finetune"):
            examples, counts = conversation_examples(conversations, processor, max_tokens, store)
        return len(tokenised), fingerprint(examples) == fingerprint(expected), counts == skipped

    assert again() == (5, True, True)
    assert again() == (0, True, True)
    next(store.path.glob("*.json")).write_bytes(b"[")
    assert again() in {(2, True, True), (1, True, True)}
    picture.write_bytes(png(2))
    assert again() == (2, False, True)
    assert again(100)[:2] == (5, False)


def test_a_process_of_a_training_waits_for_the_tokens_of_the_first(processor, instructions, monkeypatch):
    rows = instructions(8)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "1")
    with ThreadPoolExecutor(1) as pool, example_store("finetune") as store:
        other = pool.submit(instruction_examples, rows, processor, 120, store)
        with pytest.raises(TimeoutError):
            other.result(0.5)
        with monkeypatch.context() as main:
            main.setattr(
                "synthpairs.vlm.examples.is_main_process", lambda: threading.current_thread() is threading.main_thread()
            )
            first, _ = instruction_examples(rows, processor, 120, store)
            assert fingerprint(other.result(60)[0]) == fingerprint(first)


def test_a_run_waits_for_another_that_tokenises():
    with ThreadPoolExecutor(1) as pool:
        with example_store("finetune"):
            other = pool.submit(lambda: example_store("finetune").__enter__())
            with pytest.raises(TimeoutError):
                other.result(0.5)
        assert other.result(60).path.name == "examples"


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (("what?", ""), "empty"), (("what?", " \n"), "empty"), (("what?", None), "empty"), (("", "a dog"), "empty"),
        ((None, "a dog"), "empty"), (("what is <image>?", "a dog"), "control_token"),
        (("what?<|im_end|>", "a dog"), "control_token"), (("what?", "a dog<|im_end|>"), "control_token"),
        (("what?", "<|im_start|>"), "control_token"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("index", [0, 1, 2])
def test_skipped_examples_are_counted_whichever_turn_is_wrong(processor, turn, reason, index):
    good = row(*TALK)
    turns = [turn if number == index else other for number, other in enumerate(TALK)]
    examples, skipped = instruction_examples(pd.concat([good, row(*turns), good]), processor, 150)
    assert len(examples) == 2
    assert skipped == NONE | {reason: 1}


def test_what_is_too_long_is_cut_and_skipped_if_nothing_is_learnt_then(processor, png, picture):
    (whole,), _ = instruction_examples(row(*TALK, picture=png(0)), processor, 300)
    (cut,), skipped = instruction_examples(row(*TALK, picture=png(0)), processor, len(whole.ids) - 5)
    assert (cut.ids, cut.labels, skipped) == (whole.ids[:-5], whole.labels[:-5], NONE)
    first = next(index for index, label in enumerate(whole.labels) if label != IGNORED)
    for length, kept in ((first + 1, 1), (first, 0), (2, 0)):
        examples, skipped = instruction_examples(row(*TALK, picture=png(0)), processor, length)
        assert (len(examples), skipped["too_long"]) == (kept, 1 - kept)
    (caption,), _ = caption_examples([("key", "a dog", picture(0))], processor, 6)
    assert processor.tokenizer.decode(caption.ids) == "<image>" * 4 + "a "


class LlavaV1:
    """Token ids and labels as LLaVA's training computes them for Vicuna, from the sentencepiece model.

    The prompt is divided at the image. Each part is tokenised as a text of its own; after an end token a text goes on without
    the mark of its beginning. The labels of each round are masked up to the colon of ASSISTANT.
    """

    def __init__(self, model):
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def ids(self, text):
        """Of a text without image."""
        begin, *others = text.split("</s>")
        ids = self.model.encode(begin)
        for part in others:
            line = self.model.encode("\n")
            ids += [
                self.model.eos_id(),
                *self.model.encode("\n" + part)[len(line) :],
            ]  # a byte, which merges with nothing
        return ids

    def conversation(self, turns, image):
        """`image`: the ids of the image, or None."""
        first = f"{VICUNA_SYSTEM} USER: " + ("<image>\n" if image else "")
        starts = [first] + ["USER: "] * (len(turns) - 1)
        rounds = [
            f"{start}{question} ASSISTANT: {answer}</s>"
            for start, (question, answer) in zip(starts, turns, strict=True)
        ]
        ids, labels, so_far = [], [], ""
        for text in rounds:
            for part, is_learnt in ((text[: text.index(" ASSISTANT: ") + 11], False), (text, True)):
                whole = [self.model.bos_id(), *self._joined(so_far + part, image)]
                new = whole[len(ids) :]
                ids, labels = whole, labels + (new if is_learnt else [IGNORED] * len(new))
            so_far += text
        return ids, labels

    def caption(self, text, image):
        """Template "plain"."""
        learnt = self.ids(f"{text}\n")
        before = [self.model.bos_id(), *image]
        return before + learnt, [IGNORED] * len(before) + learnt

    def _joined(self, text, image):
        before, found, after = text.partition("<image>")
        return self.ids(before) + (image + self.ids(after) if found else [])


@pytest.mark.parametrize("pictured", [True, False])
def test_for_vicuna_ids_and_labels_are_llavas(parts, tmp_path, picture, png, pictured):
    vicuna(tmp_path / "vicuna")
    vlm = dataclasses.replace(parts, llm=str(tmp_path / "vicuna"), chat_template="vicuna", image_token=None)
    processor = assemble(vlm)[1]
    llava = LlavaV1(tmp_path / "vicuna/tokenizer.model")
    image = [processor.image_token_id] * 4
    talk = [*TALK, ("is it \u00e9 or \U0001f436?", "(no)\nyes: 12"), ("USER:", "ASSISTANT")]
    (example,), _ = instruction_examples(row(*talk, picture=png(0) if pictured else None), processor, 999)
    assert (example.ids, example.labels) == llava.conversation(talk, image if pictured else None)
    second = llava.ids("</s>USER:")[1:]
    assert second != llava.ids("USER:"), "from the second turn on it has no mark"
    assert any(
        example.ids[at : at + len(second) + 1] == [llava.model.eos_id(), *second] for at in range(len(example.ids))
    )
    (caption,), _ = caption_examples([("key", "a dog", picture(0))], processor, 99)
    assert (caption.ids, caption.labels) == llava.caption("a dog", image)
    content = [{"type": "image"}] * pictured + [{"type": "text", "text": TALK[0][0]}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    asked = processor(text=prompt, images=[picture(0)] if pictured else None).input_ids[0]
    assert example.ids[: len(asked)] == list(asked), "benchmarks ask as the training did"
    assert example.labels[len(asked) - 1 : len(asked) + 1] == [IGNORED, example.ids[len(asked)]]


@pytest.mark.parametrize("turns", [[], None, np.array([], dtype=object)])
def test_a_conversation_without_turns_is_empty(processor, png, turns):
    rows = pd.DataFrame([{"turns": turns, "picture": png(0)}])
    examples, skipped = instruction_examples(rows, processor, 80)
    assert not examples
    assert skipped == NONE | {"empty": 1}


def test_unreadable_pictures_are_counted(processor, png):
    broken = [row(TALK[0], picture=payload) for payload in (b"no picture", b"", png(0)[:-200])]
    examples, skipped = instruction_examples(pd.concat(broken), processor, 80)
    assert not examples
    assert skipped == NONE | {"unreadable_picture": 3}


def test_too_many_skipped_examples_are_an_error(training, caplog):
    params = Training(**training | {"max_skipped_ratio": 0.1})
    check_skipped(NONE | {"empty": 3, "too_long": 1}, 36, params, "pretrain_tokens")
    assert "4 of 40 examples are skipped: empty 3, too_long 1" in caplog.text
    with pytest.raises(
        ValueError, match=r"4 of 39 examples .* \(empty 3, too_long 1\); .* pretrain_tokens\.max_skipped_ratio"
    ):
        check_skipped(NONE | {"empty": 3, "too_long": 1}, 35, params, "pretrain_tokens")


def test_a_batch_is_padded_on_the_right():
    picture = TokenPicture(np.zeros((2, 2), np.uint16), np.ones((4, 3), np.float32))
    short = Example([5, 6, 7], [IGNORED, 6, IGNORED], None)
    long = Example([3, 8, 9, 4, 2], [IGNORED] * 3 + [4, 2], picture)
    batch = collate([short, long])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 0, 0], [3, 8, 9, 4, 2]]
    assert batch["labels"].tolist() == [[IGNORED, 6] + [IGNORED] * 3, [IGNORED, IGNORED, IGNORED, 4, 2]]
    assert batch["pixel_values"].shape == (1, 3, 2, 2)
    assert "pixel_values" not in collate([Example([5, 6], [IGNORED, 6], None)])


def test_the_fingerprint_covers_everything():
    tokens, book = np.zeros((2, 2), np.uint16), np.ones((4, 3), np.float32)
    base = Example([1, 2], [IGNORED, 2], TokenPicture(tokens, book))
    soft = TokenPicture(tokens, book, Slice(Path("shard-1.tar"), 512, 24))
    pictures = (
        TokenPicture(tokens + 1, book),
        soft,
        dataclasses.replace(soft, soft=Slice(Path("shard-1.tar"), 1024, 24)),
    )
    changes = ({"ids": [1, 3]}, {"labels": [1, 2]}, {"picture": None}, *({"picture": picture} for picture in pictures))
    others = [dataclasses.replace(base, **change) for change in changes]
    assert fingerprint([base]) == fingerprint([Example([1, 2], [IGNORED, 2], TokenPicture(tokens.copy(), book))])
    assert len({fingerprint([example]) for example in [base, *others]} | {fingerprint([base, base])}) == 8
