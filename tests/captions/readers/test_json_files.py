"""JSON Lines and LLaVA lists: chunk boundaries anywhere, and faulty records."""

import itertools
import json
import time

import pytest

from synthpairs.core import untrusted_json
from tests.captions.readers.conftest import encoded, outcome, reasons


def record(text, **more):
    """As in blip_laion_cc_sbu_558k.json."""
    turns = [{"from": "human", "value": "Describe this.\n<image>"}, {"from": "gpt", "value": text}]
    return {"id": "004539375", "image": "00453/004539375.jpg", "conversations": turns} | more


def test_every_line_becomes_a_caption(read):
    lines = [
        json.dumps({"text": "a cat on a mat"}).encode(), json.dumps({"text": "two buses"}).encode(), b"",
        b'{"text": "caf\xe9"}', b'{"text": "half \\ud800 pair"}', b'{"text": "nul \\u0000 byte"}',
        b"not json \xff\x00", b'["a list"]', b'{"text": 3}', b'{"caption": "a dog \\ud800"}', b"[" * 100_000,
        b'{"text": "a", "n": ' + b"1" * 5000 + b"}", json.dumps({"text": "dog " * 25_000}).encode(),
    ]  # fmt: skip
    captions = read("extra.jsonl", b"\n".join(lines) + b"\r\n", "jsonl")
    assert [(caption.source, caption.concept) for caption in captions[:2]] == [("web", "cat"), ("web", "bus")]
    assert [caption.text for caption in captions[2:4]] == ["caf\ufffd", "half \ufffd pair"]
    assert reasons(captions) == [None] * 5 + ["unreadable"] * 6 + [None]
    assert "extra.jsonl line 7: JSONDecodeError" in captions[5].detail
    assert "extra.jsonl line 10: KeyError: 'text'" in captions[8].detail
    assert len(captions[-1].text) == 100_000
    "".join(caption.text + caption.detail for caption in captions).encode()  # storable


@pytest.mark.parametrize("indent", [None, 2])
def test_llava_lists_do_not_depend_on_chunk_boundaries(indent, read, monkeypatch):
    texts = ['a "big" cat \\ {[', "ein \u00e4gyptischer \u72d7 \U0001f431\u2028", "esc \n\t\u0001", "] , {", ""]
    for ascii_only in (True, False):
        payload = json.dumps([record(text) for text in texts], indent=indent, ensure_ascii=ascii_only).encode()
        for chunk in (1, 2, 3, 5, 7, 64, 10_000):
            monkeypatch.setattr(untrusted_json, "CHUNK", chunk)
            captions = read("a.json", b"\xef\xbb\xbf" + payload + b"\n", "llava")
            assert outcome(captions) == [(text, None) for text in texts]


@pytest.mark.parametrize("chunk", [3, 10_000])
@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ('{"id": 1, "conversations": [{"from": "gpt", "value": "a "big" dog"}]}', "JSONDecodeError"),
        ('{"id": 1, "conversations": [{"from": "gpt", "value": "12" wide"}]}', "JSONDecodeError"),
        ('{"id": 1, "conversations": [{"from": "gpt", "value": "no end}]}', "JSONDecodeError"),
        ('{"id": 1, "conversations": [{"from": "gpt", "value": "\\x"}]]', "JSONDecodeError"),
        ('{"id": ' + "1" * 5000 + ', "conversations": []}', "ValueError: Exceeds the limit"),
        ('{"id": 1,, "conversations": []}', "JSONDecodeError"),
        ("nonsense", "JSONDecodeError"),
        ("[" * 5000, "TooDeep: nested deeper than 100 levels"),
        ('{"id": 1, "conversations": ' + "[" * 700 + "oops", "TooDeep"),
        ("12", "TypeError: an object is needed, not int"),
        ('{"id": 1}', "KeyError: 'conversations'"),
        ('{"id": 1, "conversations": [{"from": "human", "value": "a"}]}', "ValueError: gpt says nothing"),
        ('{"id": 1, "conversations": 3}', "TypeError"),
        ('{"id": 1, "conversations": [{"from": "gpt", "value": null}]}', "text and source must be strings"),
    ],
)
def test_a_faulty_record_does_not_affect_others(bad, fault, chunk, read, monkeypatch):
    monkeypatch.setattr(untrusted_json, "CHUNK", chunk)
    good = [json.dumps(record(text)) for text in ("a cat", "a dog", "a bus", "a bus")]
    payload = f"[{good[0]},\n{bad},{bad},\n{good[1]}, {good[2]} {good[3]}, ]".encode()
    captions = read("a.json", payload, "llava")
    assert [captions[0].text, *(caption.text for caption in captions[-3:])] == ["a cat", "a dog", "a bus", "a bus"]
    lost = captions[1:-3]
    # Two faulty records are one row if neither begins like a record.
    assert reasons(lost) == ["unreadable"] * (1 if bad == "nonsense" or bad[0] == "[" else 2)
    assert f"a.json record 2: {fault}" in lost[0].detail


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", ["unreadable"]),
        (b"[]", []),
        (b"[", ["unreadable"]),
        (b'[{"text": "a"}, {"text": "b"}', [None, None, "unreadable"]),
        (b'[{"text": "a"}, {"text": "b', [None, "unreadable"]),
        (b'[{"text": "a"}, {"text": "b \xe7', [None, "unreadable"]),
        (b'[{"text": "a"}] [{"text": "b"}, {"text": "c"}]\n', [None, "unreadable", None, None]),
        (b'[{"text": "a"}], {"text": "b"}]]', [None, "unreadable", None, "unreadable"]),
    ],
)
def test_the_rest_of_a_truncated_list_is_one_row_and_so_is_the_start_of_a_second_list(payload, expected, read):
    assert reasons(read("a.json", payload, "llava", text="text")) == expected


DEEP = '{"text": "a dog", "x": ' + "[" * 990 + '{"text": "not a record"}' + "]" * 990 + "}"


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("jsonl", f'{DEEP}\n{{"text": "a cat"}}'), ("llava", f'[{DEEP}, {{"text": "a cat"}}]'),
     ("coco", f'{{"annotations": [{DEEP}, {{"text": "a cat"}}]}}'), ("sbu", f'{{"text": [{DEEP}, "a cat"]}}')],
)  # fmt: skip
def test_a_deeply_nested_record_is_a_faulty_row(kind, payload, read):
    """And nothing else is, wherever it is read: Python's decoder takes 990 levels less those of the calls around it."""

    def rows(depth, calls=0):
        if calls:
            return rows(depth, calls - 1)
        levels = payload.replace("[" * 990, "[" * depth).replace("]" * 990, "]" * depth)
        return reasons(read("a.json", levels.encode(), kind, text="text"))

    for depth, calls in itertools.product((990, 600, 99, 98), (0, 300)):
        assert rows(depth, calls) == ["unreadable" if depth > 98 or kind == "sbu" else None, None]


def test_deep_nesting_beside_the_list_is_no_fault_of_it(read):
    payload = f'{{"info": {DEEP}, "images": [{DEEP}, 1], "annotations": [{{"text": "a cat"}}], "more": {DEEP}}}'
    assert outcome(read("a.json", payload.encode(), "coco", text="text")) == [("a cat", None)]


def test_many_records_without_an_end_take_no_long_time(read):
    start = time.monotonic()
    rows = read("a.json", ("[" + ('{"text": ' + "[" * 1500 + ",") * 700).encode(), "llava", text="text")
    assert reasons(rows) == ["unreadable"] * 700
    assert time.monotonic() - start < 10


def test_the_depth_of_one_record_is_no_fault_of_another(read):
    texts = ["a cat", "a dog", "a bus", "a bus"]
    good = [json.dumps(record(text)) for text in texts]
    number = (
        '{"id": ' + "1" * 5000 + "}"
    )  # more digits than Python reads, so that its decoder does not say where it ends
    captions = read("a.json", f"[{number}, {good[0]}, {good[1]}, {DEEP}, {good[2]}]".encode(), "llava")
    assert [text for text, reason in outcome(captions) if reason is None] == texts[:3]


def test_many_quotes_in_a_cut_line_take_no_time(read):
    started = time.monotonic()
    assert reasons(read("a.jsonl", ('{"text": "' + r"\"" * 200_000 + "[" * 101).encode(), "jsonl")) == ["unreadable"]
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("opening", ["[", '{"text":', '{"text":[', '{"a":{"b":['])
def test_nested_openings_take_no_long_time(opening, read):
    start = time.monotonic()
    good = '{"text": "a cat"}'
    captions = read("a.json", f"[{good},{opening * (500_000 // len(opening))},{good}]".encode(), "llava", text="text")
    assert time.monotonic() - start < 10  # 63 s for the second one, if each opening is tried
    assert [captions[0].reason, captions[1].reason] == [None, "unreadable"]
    assert len(captions) < 2000
    assert captions[-1].text == "a cat"


COCO = {
    "info": {"year": 2014}, "licenses": [],
    "images": [{"id": 1, "file_name": "1.jpg", "url": "x"}, {"id": 2, "file_name": "2.jpg", "url": "y"}],
    "annotations": [
        {"image_id": 1, "id": 10, "caption": "A cat\n"}, {"image_id": 2, "id": 11, "caption": "A dog"},
        {"image_id": 1, "id": 12, "caption": " A bus"}, {"image_id": 7, "id": 13, "caption": "A bus"},
        {"image_id": 1, "id": 14, "caption": 3}, {"image_id": 1, "id": 15},
    ],
}  # fmt: skip


@pytest.mark.parametrize("chunk", [3, 10_000])
def test_coco_annotations_share_the_images_that_they_name(chunk, read, tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted_json, "CHUNK", chunk)
    for name, colour in ("1.jpg", "red"), ("2.jpg", "blue"):
        (tmp_path / name).write_bytes(encoded(colour))
    texts = ["A cat", "A dog", "A bus", "A bus"]
    for order in (list(COCO), sorted(COCO)):
        payload = json.dumps({key: COCO[key] for key in order}).encode()
        plain = read("a.json", payload, "coco")
        assert outcome(plain)[:4] == [(text, None) for text in texts]
        assert {caption.original for caption in plain} == {None}
        captions = read("a.json", payload, "coco", image="file_name", source="url")
        assert reasons(captions) == [None] * 3 + ["unreadable"] * 3
        assert captions[0].original == captions[2].original != captions[1].original
        assert [caption.source for caption in captions[:3]] == ["x", "y", "x"]
        assert "a.json record 4: none of `images` gives it a 'file_name'" in captions[3].detail


def test_karpathys_images_with_several_sentences(read, tmp_path):
    (tmp_path / "val2014").mkdir()
    (tmp_path / "val2014/1.jpg").write_bytes(encoded())
    sentences = [{"raw": "A cat. ", "tokens": ["a", "cat"]}, {"raw": "A dog."}]
    images = [
        {"filepath": "val2014", "filename": "1.jpg", "sentences": sentences, "split": "test"},
        {"filename": "val2014/1.jpg", "sentences": sentences[:1]}, {"filename": "1.jpg", "sentences": [{}]},
    ]  # fmt: skip
    captions = read("a.json", json.dumps({"images": images, "dataset": "coco"}).encode(), "karpathy", image="filename")
    assert outcome(captions)[:3] == [("A cat.", None), ("A dog.", None), ("A cat.", None)]
    assert reasons(captions[3:]) == ["unreadable"]
    assert len({caption.original for caption in captions[:3]}) == 1


def test_sbus_parallel_lists(read):
    lists = {
        "image_urls": ["http://1", "http://2"],
        "captions": ["A cat", "A dog", "A bus"],
        "user_ids": ["1", "2", "3"],
    }
    payload = json.dumps(lists).encode()
    assert outcome(read("a.json", payload, "sbu")) == [("A cat", None), ("A dog", None), ("A bus", None)]
    captions = read("a.json", payload, "sbu", source="image_urls")
    assert [caption.source for caption in captions] == ["http://1", "http://2", "web"]
    assert "a.json record 3: the lists differ in length" in captions[2].detail


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"a": [1], "captions": ["A cat"]', [None]),
        ('{"captions": ["A cat", "A d', [None, "unreadable"]),
        ('{"captions": ["A cat"', [None, "unreadable"]),
        ('{"captions": ["A cat"]} {"captions": ["A dog"]}', [None, "unreadable"]),
        ('{"captions": ["A cat"], broken', [None, "unreadable"]),
        ('{"captions": ["A cat"], "captions": ["A dog"]}', [None, None]),
        ('{"captions": []}', []),
        ('["A cat"]', "a.json is not a JSON object with a list 'captions'"),
        ('{"captions": "A cat"}', "a.json is not a JSON object with a list 'captions'"),
        ('{"a": ["A cat"', "a.json is not a JSON object with a list 'captions'"),
    ],
)
def test_the_rest_of_a_truncated_object_is_one_row(payload, expected, read):
    if isinstance(expected, list):
        assert reasons(read("a.json", payload.encode(), "sbu")) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            read("a.json", payload.encode(), "sbu")


def test_llava_images_are_relative_to_the_list(read, tmp_path):
    (tmp_path / "00453").mkdir()
    (tmp_path / "00453/004539375.jpg").write_bytes(encoded())
    records = [record("a cat"), record("a dog", image="no.jpg"), {"conversations": record("b")["conversations"]}]
    captions = read("a.json", json.dumps(records).encode(), "llava", image="image")
    assert [caption.original is None for caption in captions] == [False, True, True]
    assert reasons(captions) == [None, "unreadable", None]
    assert {caption.original for caption in read("a.json", json.dumps(records).encode(), "llava")} == {None}
