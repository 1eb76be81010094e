"""The select stage: the forms in which the selection is handed on, the arms, and the pictures they lead to."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pandas as pd
import pytest
import webdataset
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard

from synthpairs.core.arms import Arm
from synthpairs.core.schema import CAPTIONS, PAIRS, REJECTED, SCORES, SELECTED, caption_uid
from synthpairs.core.storage import read_shard, write_json, write_table
from synthpairs.selection.make import make_selection
from synthpairs.selection.pairs import load_pairs
from synthpairs.selection.params import Select
from synthpairs.selection.records import INSTRUCTIONS, llava_record

Settings = Callable[..., Select]
ARMS: list[Arm] = ["selected", "random", "real"]


def contents(folder: Path) -> dict[str, str]:
    """Every file's hash by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_metrics_add_up_and_tables_fit_their_schemas(settings: Settings, data: Path) -> None:
    metrics = make_selection(settings(), ARMS, data, data / "selected")
    assert metrics["candidates"] == metrics["unscored"] + metrics["beaten"] + metrics["competing"] == 16
    assert metrics["selected"] == 3
    assert metrics["unscored"] == 1
    selected = pd.read_parquet(data / "selected/selected.parquet")
    assert list(selected.columns) == SELECTED.names
    assert selected["rank"].tolist() == [0, 1, 2]
    assert selected["score"].is_monotonic_decreasing
    manifest = pd.read_parquet(data / "images/manifest.parquet").set_index("key")
    assert selected["text"].tolist() == manifest.loc[selected["key"], "text"].tolist()


def test_written_twice_byte_for_byte(settings: Settings, data: Path) -> None:
    make_selection(settings(), ARMS, data, data / "one")
    scores = pd.read_parquet(data / "scores/scores.parquet").sample(frac=1, random_state=2)
    scores.to_parquet(data / "scores/scores.parquet")
    make_selection(settings(strategy="rear", k=4), ["selected"], data, data / "two")
    make_selection(settings(), ARMS, data, data / "two")  # over another selection, of which nothing stays
    assert contents(data / "one") == contents(data / "two")


def test_arms_have_one_size(settings: Settings, data: Path) -> None:
    metrics = make_selection(settings(k=4), ARMS, data, data / "selected")
    arms = {name: pd.read_parquet(data / f"selected/pairs/{name}.parquet") for name in ARMS}
    for pairs in arms.values():
        assert list(pairs.columns) == PAIRS.names
        assert len(pairs) == 4
        assert pairs["key"].is_unique
        assert pairs["key"].is_monotonic_increasing
        assert pairs["uid"].is_unique
    assert set(arms["random"]["key"]) != set(arms["selected"]["key"])
    assert arms["real"]["shard"].isna().all()
    assert set(arms["real"]["text"]) == {"an ant", "a pear", "a hat", "a fan"}
    assert metrics["arms"]["real"] == {"pairs": 4, "kept": 2, "rejected_by_alignment": 2}
    other = make_selection(settings(k=4, seed=5), ARMS, data, data / "other")
    assert pd.read_parquet(data / "other/pairs/selected.parquet").equals(arms["selected"])
    assert other["arms"]
    assert not pd.read_parquet(data / "other/pairs/random.parquet").equals(arms["random"])


def test_real_arm_takes_kept_captions_first_and_says_when_there_are_fewer(settings: Settings, data: Path) -> None:
    metrics = make_selection(settings(k=1), ARMS, data, data / "selected")
    assert metrics["arms"]["real"] == {"pairs": 1, "kept": 1, "rejected_by_alignment": 0}
    metrics = make_selection(settings(k=8), ARMS, data, data / "selected")
    assert metrics["arms"]["real"] == {"pairs": 4, "kept": 2, "rejected_by_alignment": 2}
    kept = pd.read_parquet(data / "captions/kept.parquet")
    write_table(data / "captions/kept.parquet", kept[kept["source"] == "model"], CAPTIONS)
    metrics = make_selection(settings(k=1), ARMS, data, data / "selected")
    assert metrics["arms"]["real"] == {"pairs": 1, "kept": 0, "rejected_by_alignment": 1}
    rejected = pd.read_parquet(data / "captions/rejected.parquet").assign(reason="judge")
    write_table(data / "captions/rejected.parquet", rejected, REJECTED)
    metrics = make_selection(settings(k=1), ARMS, data, data / "selected")
    assert metrics["arms"]["real"] == {"pairs": 0, "kept": 0, "rejected_by_alignment": 0}
    assert list(load_pairs("real", data)) == []


def test_load_pairs_gives_each_arm_its_pictures(settings: Settings, data: Path) -> None:
    make_selection(settings(k=4), ARMS, data, data / "selected")
    shown = {}
    for shard in sorted((data / "images").glob("shard-*.tar")):
        shown |= {key: members["png"] for key, members in read_shard(shard)}
    for name in ("kept", "rejected"):
        table = pd.read_parquet(data / f"captions/{name}.parquet")
        shown |= dict(zip(table["uid"], table["original"], strict=True))
    for arm in ARMS:
        pairs = pd.read_parquet(data / f"selected/pairs/{arm}.parquet")
        loaded = list(load_pairs(arm, data))
        assert sorted((key, text) for key, text, _ in loaded) == sorted(zip(pairs["key"], pairs["text"], strict=True))
        for key, _, picture in loaded:
            assert (picture if isinstance(picture, bytes) else picture.read()) == shown[key]
        assert [key for key, _, _ in loaded] == [key for key, _, _ in load_pairs(arm, data)]
    with pytest.raises(FileNotFoundError, match=r"pairs/other.parquet is missing: run `dvc repro select`"):
        next(load_pairs("other", data))
    kept = pd.read_parquet(data / "captions/kept.parquet")
    write_table(data / "captions/kept.parquet", kept[kept["text"] != "a pear"], CAPTIONS)
    with pytest.raises(ValueError, match=f"no picture for 1 pairs, first {caption_uid('a pear', 'human')}"):
        list(load_pairs("real", data))


def test_shards_hold_the_selection_byte_for_byte(settings: Settings, data: Path) -> None:
    make_selection(settings(k=5), ARMS, data, data / "selected")
    selected = pd.read_parquet(data / "selected/selected.parquet").set_index("key")
    source = {}
    for shard in sorted((data / "images").glob("shard-*.tar")):
        source |= dict(read_shard(shard))
    shards = sorted((data / "selected").glob("shard-*.tar"))
    samples = {key: members for shard in shards for key, members in read_shard(shard)}
    assert sorted(samples) == sorted(selected.index)
    for key, members in samples.items():
        assert (members["png"], members["txt"]) == (source[key]["png"], source[key]["txt"])
        document = json.loads(members["json"])
        assert document["seed"] == json.loads(source[key]["json"])["seed"]
        assert (document["rank"], document["score"]) == (selected.loc[key, "rank"], selected.loc[key, "score"])
    read = list(webdataset.WebDataset(list(map(str, shards)), shardshuffle=False).decode("pil"))
    assert {sample["__key__"]: sample["txt"] for sample in read} == selected["text"].to_dict()


def test_llava_json_is_what_its_loader_expects(settings: Settings, data: Path) -> None:
    make_selection(settings(k=5), ARMS, data, data / "selected")
    records = json.loads((data / "selected/llava.json").read_text())
    selected = pd.read_parquet(data / "selected/selected.parquet")
    assert [record["id"] for record in records] == selected["key"].tolist()
    members = {f"{key}.png" for shard in (data / "selected").glob("shard-*.tar") for key, _ in read_shard(shard)}
    for record, text in zip(records, selected["text"], strict=True):
        assert record["image"] in members
        human, gpt = record["conversations"]
        assert (human["from"], gpt["from"], gpt["value"]) == ("human", "gpt", text)
        assert human["value"].count("<image>") == 1
        assert human["value"].replace("<image>", "").strip() in INSTRUCTIONS


def test_every_instruction_is_used_on_both_sides() -> None:
    assert len(set(INSTRUCTIONS)) == len(INSTRUCTIONS) == 10
    questions = {llava_record(f"{number:08x}", "x", "png")["conversations"][0]["value"] for number in range(20)}
    assert len(questions) == 20
    assert sum(text.startswith("<image>\n") for text in questions) == 10


def test_card_is_a_hugging_face_card(settings: Settings, data: Path) -> None:
    make_selection(settings(), ARMS, data, data / "selected")
    text = (data / "selected/README.md").read_text()
    header = DatasetCard(text).data.to_dict()
    assert header["license"] == ["apache-2.0", "cc-by-4.0", "mit"]
    assert header["size_categories"] == ["n<1K"]
    assert header["task_categories"] == ["image-to-text", "text-to-image"]
    assert "# 3 synthetic image-caption pairs" in text
    assert "| candidates | 16 |" in text
    assert "| pairs/real.parquet | 3 |" in text
    assert "openmoji" not in text
    assert "1.0 x 1.0 x max(cosine, 0) + 0.5 x SSIM, highest first." in text
    make_selection(settings(fusion="zscore"), ARMS, data, data / "selected")
    text = (data / "selected/README.md").read_text()
    assert "1.0 x z-score of max(cosine, 0) + 0.5 x z-score of SSIM, highest first." in text
    assert "Painted by `models/x`, which learnt from what its publisher says." in text
    assert "XMP" not in text
    generator = json.loads((data / "images/generator.json").read_text())
    generator["inputs"]["model"] = "models/desk/generator"
    write_json(data / "images/generator.json", generator | {"mark": "trained"})
    make_selection(settings(), [], data, data / "selected")
    text = (data / "selected/README.md").read_text()
    assert "no photograph and no picture of a real person was in its training" in text
    assert "Each picture's file says in XMP that a model made it\n(IPTC DigitalSourceType `trained`)." in text
    assert list((data / "selected/pairs").iterdir()) == [], "of the arms that there were nothing stays"


def test_load_dataset_gives_the_shards_by_the_card_and_the_table_by_its_name(
    settings: Settings, data: Path, monkeypatch
) -> None:
    """The header is checked by the libraries that read it; other files beside the shards must not get into the split."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    make_selection(settings(k=5), ARMS, data, data / "selected")
    selected = pd.read_parquet(data / "selected/selected.parquet")
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


@pytest.mark.parametrize(("k", "taken"), [(1, 1), (9, 8), (100_000, 8)])
def test_all_are_taken_where_fewer_compete_than_are_asked_for(
    settings: Settings, data: Path, caplog: pytest.LogCaptureFixture, k: int, taken: int
) -> None:
    metrics = make_selection(settings(k=k, per_concept=5), ["selected", "random"], data, data / "selected")
    assert (metrics["asked"], metrics["selected"]) == (k, taken)
    assert {arm: counts["pairs"] for arm, counts in metrics["arms"].items()} == {"selected": taken, "random": taken}
    assert f"| asked | {k} |\n| selected | {taken} |" in (data / "selected/README.md").read_text()
    assert ("select.k is 9, but only 8 candidates compete; with select.best_of each" in caplog.text) == (k == 9)


def test_nothing_to_select_from_is_an_empty_selection(settings: Settings, data: Path) -> None:
    write_table(data / "scores/scores.parquet", [], SCORES)
    metrics = make_selection(settings(), ARMS, data, data / "selected")
    assert metrics["selected"] == 0
    assert metrics["mean"] == {"score": None, "clip_cosine": None, "ssim": None}
    assert {arm: list(load_pairs(arm, data)) for arm in ARMS} == {arm: [] for arm in ARMS}
    assert "| selection | 0 | - | - | - | - |" in (data / "selected/README.md").read_text()


def test_inputs_that_do_not_fit_are_named(settings: Settings, data: Path) -> None:
    with pytest.raises(ValueError, match=r"params.yaml: arms must name each arm once"):
        make_selection(settings(), ["real", "real"], data, data / "selected")
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    manifest.iloc[3:].to_parquet(data / "images/manifest.parquet")
    with pytest.raises(ValueError, match="holds 2 pictures that data/images does not"):
        make_selection(settings(), ARMS, data, data / "selected")
    (data / "scores/scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="run `dvc repro scores` first"):
        make_selection(settings(), ARMS, data, data / "selected")


def test_the_stage_runs_without_torch(settings: Settings, data: Path) -> None:
    params = settings()
    values = {name: getattr(params, name) for name in params.__slots__}
    (data.parent / "params.yaml").write_text(json.dumps({"select": values, "arms": ARMS}))
    (data.parent / "packages.lock.yaml").write_bytes(Path("packages.lock.yaml").read_bytes())
    program = "import sys, stages.select as s; s.main(); assert not {'torch', 'transformers'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "SYNTHPAIRS_TRACKING": "off"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=data.parent, env=environment)
    assert json.loads((data.parent / "reports/metrics/select.json").read_text())["selected"] == 3
