import json

import pytest

from synthpairs.core import llava_json
from synthpairs.vlm.conversations import read_conversations
from synthpairs.vlm.examples import conversation_examples
from synthpairs.vlm.params import Instructions


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
    monkeypatch.setattr(llava_json, "CHUNK", chunk)
    turns = [turns for turns, _ in read_conversations(corpus, "finetune")]
    assert turns[:4] == [
        [{"question": "\nwhat?", "answer": "a dog"}, {"question": "and?", "answer": "no"}],
        [{"question": "what?\n", "answer": "a snail"}],
        [{"question": "a? \u00e9 [}", "answer": "b"}],
        [{"question": "c?", "answer": "d"}],
    ]
    assert len(turns) == len(RECORDS)


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
        ('[{"conversations": []}, {"id": 2}]', r"record 2: not a conversation in LLaVA's form \(KeyError"),
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
