"""Instruction files with broken bytes and values, and texts that hold control tokens: both by a fixed seed."""

import contextlib
import json
import re
import resource

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from synthpairs.models.language.chat import render_chat, without_control_tokens
from synthpairs.vlm.conversations import read_conversations
from synthpairs.vlm.examples import conversation_examples
from synthpairs.vlm.params import Instructions
from tests.captions.tiny import TEMPLATE
from tests.vlm.conftest import parts, png, processor, vicuna  # noqa: F401

TURN = [{"from": "human", "value": "<image>\nwhat?"}, {"from": "gpt", "value": "a dog"}]
RECORDS = [
    {"id": "1", "image": "a.png", "conversations": TURN * 2},
    {"id": "2", "image": ["a.png"], "conversations": TURN},
    {"id": "3", "messages": [{"role": "user", "content": "caf\u00e9?"}, {"role": "assistant", "content": "yes"}]},
]
VALUES = [
    None, True, 0, -1, 1e308, float("nan"), 10**400, "", "\x00", "\ud800", "\ufffd", "<image>", "<|im_end|>", "..", "/dev/zero",
    ".", "a.png", "x" * 5000, "system", "human", "gpt", "assistant", "tool", [], {}, [[]], [None], ["a.png"] * 2, {"a": 1}, TURN,
]  # fmt: skip
BYTES = [b"[", b"]", b"{", b"}", b'"', b"\\", b"\\ud83d", b",", b":", b"\xff", b"\xef\xbb\xbf", b"\x00", b"1" * 5000, b"[" * 3000,
         b'{"a":' * 3000, b"NaN", b"[]"]  # fmt: skip


def changed_value(value, rng):
    """The JSON value with one of its parts replaced, removed or doubled."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return rng.choice(VALUES)
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    value = value.copy()
    kind = rng.random()
    if kind < 0.1:
        del value[key]
    elif kind < 0.2 and isinstance(value, list):
        value.insert(key, value[key])
    elif kind < 0.3 and isinstance(value, dict):
        value[rng.choice(["from", "role", "value", "content", "image", "images", "messages"])] = value.pop(key)
    else:
        value[key] = changed_value(value[key], rng)
    return value


def changed_bytes(payload, rng):
    """The bytes with a few replaced, inserted or cut out."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(payload) + 1)
        inserted = rng.choice([*BYTES, bytes([rng.randrange(256)]), b""])
        payload = payload[:at] + inserted + payload[at + rng.choice([0, 0, 1, 5, 200]) :]
    return payload


@pytest.fixture
def instructions(tmp_path, png):  # noqa: F811
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(png(0))
    return Instructions(path=str(tmp_path / "mix.json"), images=str(tmp_path / "images"))


@pytest.mark.parametrize("kind", ["values", "bytes"])
def test_each_record_of_a_broken_file_is_used_counted_or_named(instructions, processor, tmp_path, chance, kind):  # noqa: F811
    outcomes = set()
    for _ in range(300):
        if kind == "values":
            records = RECORDS
            for _ in range(chance.randint(1, 4)):
                records = changed_value(records, chance)
            payload = json.dumps(records).encode()
        else:
            payload = changed_bytes(json.dumps(RECORDS, ensure_ascii=False).encode(), chance)
        (tmp_path / "mix.json").write_bytes(payload)
        try:
            examples, skipped = conversation_examples(read_conversations(instructions, "finetune"), processor, 200)
        except ValueError as error:
            message = str(error)
            assert re.search(r"mix\.json( record \d+|.* holds no conversation| is not a JSON list)", message), payload
            assert len(message) < 500, payload
            assert message.isprintable(), payload
            outcomes.add("error")
        else:
            total = len(examples) + sum(skipped.values())
            with contextlib.suppress(ValueError):  # the reader does without commas between records
                assert total == len(json.loads(payload.decode("utf-8-sig", "replace"), strict=False)), payload
            image = processor.image_token_id
            assert all(one.ids.count(image) == 4 * (one.picture is not None) for one in examples)
            outcomes |= {reason for reason, count in skipped.items() if count} | {"example"}
    assert len(outcomes) >= 4, "errors, examples, and several reasons"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 * 2**20  # KiB


def smollm2(folder):
    """Bytes, with ChatML's control tokens as SmolLM2 has them."""
    return _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<empty_output>"])


def llama3(folder):
    """Bytes, with Llama 3's control tokens."""
    named = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    return _byte_level([*named, *(f"<|reserved_special_token_{number}|>" for number in range(250))])


def vicuna_tokenizer(folder):
    """SentencePiece with `<s>` and `</s>`."""
    vicuna(folder / "vicuna")
    tokenizer = AutoTokenizer.from_pretrained(folder / "vicuna")
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    return tokenizer


def unigram(folder):
    """Pieces of which `</s>` is one, after NFKC, as XGLM's."""
    from tokenizers import normalizers

    letters = [chr(code) for code in range(33, 127)]
    pieces = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((letter, -5.0) for letter in ["\u2581", *letters]),
    ]
    backend = Tokenizer(models.Unigram(pieces, unk_id=3))
    backend.normalizer, backend.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def _byte_level(special):
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=special[0], eos_token=special[2])


def hostile_text(special, rng):
    """Words, control tokens and pieces of them, some in another case or in full width."""
    parts = []  # noqa: F811
    for _ in range(rng.randint(1, 12)):
        token = rng.choice(special)
        cut = rng.randrange(len(token) + 1)
        wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in token)
        nested = token[:cut] + token + token[cut:]
        parts.append(
            rng.choice(
                [token, token[:cut], token[cut:], token.upper(), wide, nested, "dog", " ", "\n", "\u0338", "\u200b"]
            )
        )
    return "".join(parts)


@pytest.mark.parametrize("make", [smollm2, llama3, vicuna_tokenizer, unigram])
def test_no_text_yields_a_special_token(make, chance, tmp_path):
    tokenizer = make(tmp_path)
    tokenizer.chat_template = TEMPLATE.replace("<|im_start|>", tokenizer.bos_token).replace(
        "<|im_end|>", tokenizer.eos_token
    )
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    forbidden = (added | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id}

    def control(text):
        return [token for token in tokenizer(text, add_special_tokens=False).input_ids if token in forbidden]

    texts = [hostile_text(special, chance) for _ in range(1500)]
    assert sum(map(bool, map(control, texts))) > 700, "they do as they come"
    plain = without_control_tokens(texts, tokenizer)
    assert [text for text in plain if control(text)] == []
    assert without_control_tokens(plain, tokenizer) == plain
    allowed = control(render_chat(tokenizer, [{"role": "user", "content": "a dog"}]))
    assert len(allowed) == 3
    for text in texts[:300]:
        assert control(render_chat(tokenizer, [{"role": "user", "content": text}])) == allowed, text
