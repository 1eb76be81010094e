import json
import re
from pathlib import Path

import pytest

from synthpairs.core import untrusted_json
from synthpairs.vlm.conversations import read_conversations
from synthpairs.vlm.examples import conversation_examples
from synthpairs.vlm.params import Instructions
from tests.pipeline import ROOT


def talk(*texts):
    return [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(texts)]


RECORDS = [
    {"id": "1", "image": "coco/a.png", "conversations": talk("<image>\nwhat?", "a dog", "and?", "no")},
    {"id": "2", "image": "coco/a.png", "conversations": talk("what?\n<image>", "a snail")},
    {"id": "3", "model": "", "conversations": talk("a? \u00e9 [}", "b")},
    {"id": "4", "conversations": [{"from": "gpt", "value": "lost"}, *talk("c?", "d", "never answered")]},
    {"id": "5", "image": "coco/broken.png", "conversations": talk("<image>\ne?", "f")},
    {"id": "6", "image": "coco/missing.png", "conversations": talk("<image>\ne?", "f")},
    {"id": "7", "image": "../outside.png", "conversations": talk("<image>\ne?", "f")},
    {"id": "8", "conversations": []},
    {"id": "9", "conversations": talk("what <image> is it?<image>", "f")},
]


@pytest.fixture
def corpus(tmp_path, png):
    (tmp_path / "pictures/coco").mkdir(parents=True)
    (tmp_path / "pictures/coco/a.png").write_bytes(png(0))
    (tmp_path / "outside.png").write_bytes(png(0))
    (tmp_path / "pictures/coco/broken.png").write_bytes(png(0)[:-200])
    (tmp_path / "mix.json").write_text(json.dumps(RECORDS, ensure_ascii=False, indent=1))
    return Instructions(path=str(tmp_path / "mix.json"), images=str(tmp_path / "pictures"))


@pytest.mark.parametrize("chunk", [1, 7, 2**20])
def test_records_are_the_same_for_any_chunk_size(corpus, monkeypatch, chunk):
    monkeypatch.setattr(untrusted_json, "CHUNK", chunk)
    turns = [one.turns for one in read_conversations(corpus, "finetune")]
    assert turns[:4] == [
        [{"question": "what?", "answer": "a dog"}, {"question": "and?", "answer": "no"}],
        [{"question": "what?", "answer": "a snail"}],
        [{"question": "a? \u00e9 [}", "answer": "b"}],
        [{"question": "c?", "answer": "d"}],
    ]
    assert len(turns) == len(RECORDS)


@pytest.mark.parametrize(
    ("messages", "pictured", "turns", "picture_turn"),
    [
        ([("human", "<image>\nq"), ("system", "note"), ("gpt", "a")], True, [("q", "a")], 0),
        ([("human", "<image>\nq"), ("human", "and?"), ("gpt", "a"), ("gpt", "b")], True, [("q\nand?", "a\nb")], 0),
        ([("user", "q"), ("assistant", "a")], False, [("q", "a")], 0),
        (
            [("human", "q"), ("gpt", "a"), ("human", "What\n<image>"), ("gpt", "b")],
            True,
            [("q", "a"), ("What", "b")],
            1,
        ),
        ([("human", "<image>\n<image> q"), ("gpt", "a")], True, [("q", "a")], 0),
        ([("human", "<image>q"), ("gpt", "a"), ("human", "<image>r"), ("gpt", "b")], True, [("q", "a"), ("r", "b")], 0),
        ([("human", "<image>q"), ("gpt", "a")], False, [("<image>q", "a")], 0),
        ([("system", "note"), ("gpt", "lost"), ("human", "q"), ("gpt", "a"), ("human", "r")], False, [("q", "a")], 0),
        ([("human", "q"), ("gpt", None)], False, [("q", "")], 0),
        ([("gpt", "lost")], True, [], 0),
    ],
)
@pytest.mark.parametrize(("key", "role", "text"), [("conversations", "from", "value"), ("messages", "role", "content")])
def test_turns_of_all_usual_forms(corpus, key, role, text, messages, pictured, turns, picture_turn):
    record = {key: [{role: who, text: said} for who, said in messages]} | ({"image": "coco/a.png"} if pictured else {})
    Path(corpus.path).write_text(json.dumps([record]))
    (one,) = read_conversations(corpus, "finetune")
    assert [(turn["question"], turn["answer"]) for turn in one.turns] == turns
    assert (one.picture_turn, one.picture is not None) == (picture_turn, pictured)


def test_a_picture_of_a_later_turn_precedes_its_question(corpus, processor):
    record = {"image": ["coco/a.png"], "conversations": talk("hello", "hi", "what?\n<image>", "a dog")}
    Path(corpus.path).write_text(json.dumps([record]))
    (example,), _ = conversation_examples(read_conversations(corpus, "finetune"), processor, 200)
    image = "<image>" * 4
    assert f"hi<|im_end|>\n<|im_start|>user\n{image}\nwhat?<|im_end|>" in processor.tokenizer.decode(example.ids)
    assert example.picture is not None
    start = example.ids.index(processor.image_token_id)
    for length in (start, start + 1, start + 3):
        examples, skipped = conversation_examples(read_conversations(corpus, "finetune"), processor, length)
        assert (len(examples), skipped["too_long"]) == (0, 1), "the picture is cut off, or a part of it"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"image": ["coco/a.png", "coco/a.png"], "conversations": talk("<image>\n<image>\nq", "a")}, "several_images"),
        ({"images": ["coco/a.png", "coco/a.png"], "messages": []}, "several_images"),
        ({"image": "coco/../coco", "conversations": talk("q", "a")}, "unreadable_picture"),
        ({"image": "a\0.png", "conversations": talk("q", "a")}, "unreadable_picture"),
        ({"image": "\ud800.png", "conversations": talk("q", "a")}, "unreadable_picture"),
        ({"conversations": talk("<image>\nq", "a")}, "control_token"),
        ({"image": "", "conversations": talk("q", None)}, "empty"),
        ({"conversations": talk("q", "a dog \ud83d")}, "not_utf8"),
        ({"conversations": talk("caf\ufffd", "a")}, "not_utf8"),
    ],
)
def test_a_skipped_record_has_a_reason_and_the_first_of_each_is_named(corpus, processor, caplog, record, reason):
    good = {"image": "", "images": [None], "conversations": talk("q", "a")}
    Path(corpus.path).write_text("\ufeff" + json.dumps([good, record, record]))
    examples, skipped = conversation_examples(read_conversations(corpus, "finetune"), processor, 200)
    assert ({name: count for name, count in skipped.items() if count}, len(examples)) == ({reason: 2}, 1)
    (message,) = caplog.messages
    assert f"mix.json record 2 is skipped: {reason}" in message


def test_bytes_of_another_encoding_are_no_text(corpus, processor):
    Path(corpus.path).write_bytes(
        json.dumps([{"conversations": talk("caf\u00e9", "a")}], ensure_ascii=False).encode("latin-1")
    )
    examples, skipped = conversation_examples(read_conversations(corpus, "finetune"), processor, 200)
    assert (len(examples), skipped["not_utf8"]) == (0, 1)


def test_skipped_records_are_counted_and_pictures_stay_with_their_records(corpus, processor, picture):
    examples, skipped = conversation_examples(read_conversations(corpus, "finetune"), processor, 200)
    assert skipped == {"empty": 1, "control_token": 1, "too_long": 0, "unreadable_picture": 3}
    assert [example.picture is not None for example in examples] == [True, True, False, False]
    texts = [processor.tokenizer.decode(example.ids) for example in examples]
    assert texts[1] == texts[0].split("a dog")[0] + "a snail<|im_end|>"  # wherever the placeholder stood
    expected = processor.image_processor(picture(0), return_tensors="pt").pixel_values[0]
    assert (examples[0].pixels == expected.bfloat16()).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}', "is not a JSON list of records"),
        ('[{"conversations": []}, {"conversations": [', "record 2: "),
        ('[{"conversations": []}, {"id": 2}]', "record 2: not a conversation in LLaVA's form: it has no list of `conv"),
        ('[{"conversations": []}, [1]]', r"record 2: .*it is \[1\], which is no object"),
        ('[{"conversations": []}] [', "record 2: more after the list's end"),
        ('[{"conversations": ["q"]}]', "record 1: .*a turn is 'q'"),
        (
            '[{"conversations": [{"from": "tool", "value": "q"}]}]',
            "record 1: .*from 'tool', which is none of human, user",
        ),
        (
            '[{"messages": [{"role": ["a"], "content": "q"}]}]',
            r"record 1: .*from \['a'\], which is none of human, user",
        ),
        ('[{"conversations": [{"from": "gpt", "value": 3}]}]', "record 1: .*the text of gpt is 3, which is no string"),
        ('[{"image": {"a": 1}, "conversations": []}]', r"record 1: .*its image is \{'a': 1\}, which is no path"),
        ("[" + "[" * 100_000, "record 1: TooDeep"),
        ('[{"conversations": []},', "record 2: the file ends within its list"),
        ("[]", "holds no conversation"),
        (
            '[{"image": "a.png", "conversations": []}]',
            r"record 1 has a picture, but .*finetune_tokens\.instructions\.images",
        ),
    ],
)
def test_a_file_of_another_form_is_an_error_with_the_record(tmp_path, text, message):
    def read(name="mix.json", images=None):
        list(read_conversations(Instructions(path=str(tmp_path / name), images=images), "finetune_tokens"))

    with pytest.raises(FileNotFoundError, match=r"finetune_tokens\.instructions\.path: .*none.json is missing"):
        read("none.json")
    (tmp_path / "mix.json").write_text(text)
    with pytest.raises(ValueError, match=f"mix.json.*{message}"):
        read()
    with pytest.raises(FileNotFoundError, match=r"finetune_tokens\.instructions\.images: .*none is no directory"):
        read(images=str(tmp_path / "none"))


def test_the_documented_program_makes_conversations_of_karpathys_training_captions(tmp_path, monkeypatch):
    page = (ROOT / "docs/paper-scale.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    images = [
        {
            "filepath": "val2014",
            "filename": f"{split}.jpg",
            "split": split,
            "sentences": [{"raw": "A dog."}, {"raw": "A cat. "}],
        }
        for split in ("train", "restval", "val", "test")
    ]
    (tmp_path / "corpora/coco").mkdir(parents=True)
    (tmp_path / "corpora/dataset_coco.json").write_text(json.dumps({"images": images}))
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    rows = list(
        read_conversations(Instructions(path="corpora/coco_captions.json", images="corpora/coco"), "finetune_tokens")
    )
    assert [(row.picture.name, row.turns[0]["answer"]) for row in rows] == [
        (name, caption) for name in ("train.jpg", "restval.jpg") for caption in ("A dog.", "A cat.")
    ]
    asked = (ROOT / "synthpairs/evaluation/benchmarks/captioning/coco_caption.yaml").read_text()
    assert all(row.turns[0]["question"] in asked and row.fault is None for row in rows)
