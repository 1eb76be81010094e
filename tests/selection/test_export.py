import json

import datasets
import pandas as pd
import webdataset
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard

from synthpairs.core.schema import SCORES, SELECTED
from synthpairs.core.storage import write_bytes, write_json, write_table
from synthpairs.report.dataset_card import dataset_card
from synthpairs.selection.export import INSTRUCTIONS, export_selection, llava_record
from synthpairs.selection.make import make_selection
from tests.selection.conftest import ARMS, pictures_of


def select_and_export(params, arms, data):
    """Runs the stages `select` and `export`."""
    make_selection(params, arms, data, data / "selection")
    export_selection(params.samples_per_shard, data, data / "selected")
    write_bytes(data / "selected/README.md", dataset_card(params, arms, data).encode())


def test_shards_hold_the_selected_pictures_byte_for_byte(settings, data):
    select_and_export(settings(k=5), ARMS, data)
    selected = pd.read_parquet(data / "selection/selected.parquet").set_index("key")
    source, samples = pictures_of(data / "images"), pictures_of(data / "selected")
    shards = sorted((data / "selected").glob("shard-*.tar"))
    assert sorted(samples) == sorted(selected.index)
    for key, members in samples.items():
        assert (members["png"], members["txt"]) == (source[key]["png"], source[key]["txt"])
        document = json.loads(members["json"])
        assert document["seed"] == json.loads(source[key]["json"])["seed"]
        assert (document["rank"], document["score"]) == (selected.loc[key, "rank"], selected.loc[key, "score"])
    read = list(webdataset.WebDataset(list(map(str, shards)), shardshuffle=False).decode("pil"))
    assert {sample["__key__"]: sample["txt"] for sample in read} == selected["text"].to_dict()
    once = {path.name: path.read_bytes() for path in (data / "selected").iterdir()}
    select_and_export(settings(strategy="rear", k=4), ["selected"], data)
    select_and_export(settings(k=5), ARMS, data)  # replaces the other selection
    assert {path.name: path.read_bytes() for path in (data / "selected").iterdir()} == once


def test_llava_json_has_llavas_format(settings, data):
    select_and_export(settings(k=5), ARMS, data)
    records = json.loads((data / "selected/llava.json").read_text())
    selected = pd.read_parquet(data / "selection/selected.parquet")
    assert [record["id"] for record in records] == selected["key"].tolist()
    members = pictures_of(data / "selected")
    for record, text in zip(records, selected["text"], strict=True):
        assert record["image"].removesuffix(".png") in members
        human, gpt = record["conversations"]
        assert (human["from"], gpt["from"], gpt["value"]) == ("human", "gpt", text)
        assert human["value"].count("<image>") == 1
        assert human["value"].replace("<image>", "").strip() in INSTRUCTIONS
    questions = {llava_record(f"{number:08x}", "x", "png")["conversations"][0]["value"] for number in range(20)}
    assert len(questions) == 20, "ten instructions, with the image before and after them"
    assert sum(text.startswith("<image>\n") for text in questions) == 10


def test_card_is_a_hugging_face_card(settings, data):
    select_and_export(settings(), ARMS, data)
    header = DatasetCard((data / "selected/README.md").read_text()).data.to_dict()
    assert header["license"] == ["apache-2.0", "cc-by-4.0", "mit"]
    assert header["size_categories"] == ["n<1K"]
    assert header["task_categories"] == ["image-to-text", "text-to-image"]

    def card(holds, lacks="XMP", arms=ARMS, **changed):
        select_and_export(settings(**changed), arms, data)
        text = (data / "selected/README.md").read_text()
        assert all(part in text for part in holds)
        assert lacks not in text
        assert "Captions from files" not in text, "there are none among them"

    card(["# 3 synthetic image-caption pairs", "| candidates | 16 |", "| pairs/real.parquet | 3 |",
          "1.0 x 1.0 x max(cosine, 0) + 0.5 x SSIM, highest first."], lacks="openmoji")  # fmt: skip
    zscores = "1.0 x z-score of max(cosine, 0) + 0.5 x z-score of SSIM"
    card([zscores, "Painted by `models/x`, which learnt"], fusion="zscore")
    generator = json.loads((data / "images/generator.json").read_text())
    generator["inputs"]["model"] = "models/desk/generator"
    write_json(data / "images/generator.json", generator | {"mark": "trained"})
    privacy = ["no photograph and no picture of a real person", "in XMP", "DigitalSourceType `trained`"]
    card(privacy, lacks="real.parq", arms=[])
    assert list((data / "selection/pairs").iterdir()) == [], "tables of former arms are removed"
    write_table(data / "scores/scores.parquet", [], SCORES)
    card(["| asked | 3 |\n| selected | 0 |", "| selection | 0 | - | - | - | - |"], lacks="nan")
    assert list((data / "selected").glob("*.tar")) == []


def test_load_dataset_gives_the_shards_by_the_card_and_the_table_by_its_name(settings, data, monkeypatch):
    """By Hugging Face's own libraries; the split must not include the other files of the folder."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    select_and_export(settings(k=5), ARMS, data)
    selected = pd.read_parquet(data / "selection/selected.parquet")
    header = DatasetCard.load(data / "selected/README.md").data
    (config,) = MetadataConfigs.from_dataset_card_data(header).items()
    assert config == ("pairs", {"default": True, "data_files": [{"split": "train", "path": "shard-*.tar"}]})
    assert DatasetCard.from_template(header, template_str="---\n{{ card_data }}\n---\n").data == header
    cache = str(data / "cache")
    pairs = datasets.load_dataset(str(data / "selected"), cache_dir=cache)
    assert list(pairs) == ["train"]
    assert {"png", "txt", "json"} <= set(pairs["train"].column_names)
    texts = dict(zip(pairs["train"]["__key__"], pairs["train"]["txt"], strict=True))
    assert texts == dict(zip(selected["key"], selected["text"], strict=True))
    assert pairs["train"][0]["png"].size == (64, 64)
    table = datasets.load_dataset(str(data / "selected"), data_files="selected.parquet", split="train", cache_dir=cache)
    assert table.column_names == SELECTED.names
    assert table["key"] == selected["key"].tolist()
