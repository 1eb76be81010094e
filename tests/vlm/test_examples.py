import pandas as pd
import pytest
import torch

from synthpairs.vlm.examples import IGNORED, Example, caption_examples, collate, fingerprint, instruction_examples
from synthpairs.vlm.model import assemble

NONE = {"empty": 0, "control_token": 0, "too_long": 0, "unreadable_picture": 0}


@pytest.fixture(scope="module")
def processor(parts):
    return assemble(parts)[1]


def row(**values):
    return pd.DataFrame([{"question": "what?", "answer": "a dog", "picture": None} | values])


def test_a_caption_follows_its_picture_and_is_learnt_with_its_end(processor, picture):
    (example,), skipped = caption_examples([("key", " a dog ", picture(0))], processor, 80)
    assert processor.tokenizer.decode(example.ids) == "<image>" * 4 + "a dog\n"
    assert example.start == 4
    assert example.pixels.shape == (3, 16, 16)
    assert skipped == NONE


def test_an_instruction_is_prompted_as_it_will_be_asked(processor, picture, png):
    (example,), skipped = instruction_examples(row(picture=png(0)), processor, 80)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what?"}]}
    asked = processor(
        text=processor.apply_chat_template([turn], add_generation_prompt=True), images=picture(0), return_tensors="pt"
    )
    assert example.ids[: example.start] == asked.input_ids[0].tolist()
    assert processor.tokenizer.decode(example.ids[example.start :]) == "a dog<|im_end|>"
    assert torch.equal(example.pixels, asked.pixel_values[0].to(torch.bfloat16))
    assert skipped == NONE


def test_an_instruction_without_a_picture_is_text_alone(processor):
    (example,), _ = instruction_examples(row(), processor, 80)
    assert processor.tokenizer.decode(example.ids) == (
        "<|im_start|>user\nwhat?<|im_end|>\n<|im_start|>assistant\na dog<|im_end|>"
    )
    assert example.pixels is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"answer": ""}, "empty"),
        ({"answer": " \n"}, "empty"),
        ({"answer": None}, "empty"),
        ({"answer": "dog" * 30}, "too_long"),
        ({"question": "what is <image>?"}, "control_token"),
        ({"answer": "a dog<|im_end|>"}, "control_token"),
        ({"picture": b"no picture"}, "unreadable_picture"),
        ({"picture": b""}, "unreadable_picture"),
    ],
)
def test_what_cannot_be_learnt_from_is_counted(processor, values, reason):
    good = row()
    examples, skipped = instruction_examples(pd.concat([good, row(**values), good]), processor, 80)
    assert len(examples) == 2
    assert skipped == NONE | {reason: 1}


def test_a_picture_that_breaks_off_is_counted(processor, png):
    examples, skipped = instruction_examples(row(picture=png(0)[:-200]), processor, 80)
    assert not examples
    assert skipped == NONE | {"unreadable_picture": 1}


def test_a_batch_is_padded_behind_and_labelled_where_it_is_learnt():
    pixels = torch.ones(3, 2, 2, dtype=torch.bfloat16)
    batch = collate([Example([5, 6, 7], 1, None), Example([3, 8, 9, 4, 2], 3, pixels)])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 0, 0], [3, 8, 9, 4, 2]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7, IGNORED, IGNORED], [IGNORED, IGNORED, IGNORED, 4, 2]]
    assert batch["pixel_values"].shape == (1, 3, 2, 2)
    assert "pixel_values" not in collate([Example([5, 6], 1, None)])


def test_the_fingerprint_sees_everything():
    pixels = torch.zeros(3, 2, 2, dtype=torch.bfloat16)
    base = Example([1, 2], 1, pixels)
    others = [
        Example([1, 3], 1, pixels),
        Example([1, 2], 0, pixels),
        Example([1, 2], 1, pixels + 1),
        Example([1, 2], 1, None),
    ]
    assert fingerprint([base]) == fingerprint([Example([1, 2], 1, pixels.clone())])
    assert len({fingerprint([example]) for example in [base, *others]} | {fingerprint([base, base])}) == 6
