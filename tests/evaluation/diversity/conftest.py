"""A tiny random BertModel with its tokenizer, and caption tables as the other stages leave them."""

import pytest

from synthpairs.core.schema import CAPTIONS, REJECTED, SELECTED, caption_uid
from synthpairs.core.storage import write_table

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """Directory of a two-layer BERT of width 16 that reads letters, 40 tokens by design and 32 by training."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary, model_max_length=40).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(
            BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                max_position_embeddings=40, initializer_range=0.5,
            )
        )  # fmt: skip
    model.save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32, "do_lower_case": false}')
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}')
    return folder


def caption(text, source):
    """A row of the caption tables without any measure."""
    return dict.fromkeys(REJECTED.names) | {
        "uid": caption_uid(text, source), "text": text, "source": source, "concept": text.split()[-1], "drawings": [],
    }  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """Six captions of source `human` (two equal, three kept), four of `model` (two kept), one selected."""
    kept = [caption(f"{word} dog", "human") for word in ("a", "big", "red")]
    kept += [caption(f"{word} cat", "model") for word in ("a", "big")]
    rejected = [caption(text, "human") for text in ("a dog", "IMG_1.JPG", "big big")]
    rejected += [caption(text, "model") for text in ("sorry", "no cat")]
    write_table(tmp_path / "captions/kept.parquet", kept, CAPTIONS)
    write_table(tmp_path / "captions/rejected.parquet", [row | {"reason": "x"} for row in rejected], REJECTED)
    write_table(tmp_path / "selection/selected.parquet", [dict.fromkeys(SELECTED.names) | kept[0]], SELECTED)
    return tmp_path
