"""Parquet files and Hugging Face data sets."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.captions.conftest import source_of
from tests.captions.readers.conftest import encoded, outcome, read_all, reasons


def read(path, kind, **changed):
    return read_all(source_of(path, kind, **changed))


@pytest.fixture
def parquet(tmp_path):
    """Makes a Parquet file of columns."""

    def write(**columns):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
        return tmp_path / "a.parquet"

    return write


def test_parquet_rows_with_sources_and_images(parquet):
    texts = pa.array(["a cat", "a dog", "a bus", None]).dictionary_encode()
    path = parquet(TEXT=texts, origin=["x", None, "", "y"], jpg=[encoded(), None, b"broken", encoded()])
    captions = read(path, "parquet", text="TEXT", source="origin", image="jpg")
    assert outcome(captions) == [("a cat", None), ("a dog", None), ("a bus", "unreadable"), ("", "unreadable")]
    assert [caption.source for caption in captions[:3]] == ["x", "web", "web"]
    assert [caption.original is None for caption in captions[:2]] == [False, True]
    assert "a.parquet row 3: picture: UnidentifiedImageError" in captions[2].detail
    assert "a.parquet row 4: text and source must be strings, got NoneType" in captions[3].detail


def test_a_cell_that_is_not_utf8_does_not_affect_others(parquet):
    offsets = pa.array([0, 5, 9, 14], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a catcaf\xe9a dog")])
    assert [caption.text for caption in read(parquet(text=text), "parquet")] == ["a cat", "caf\ufffd", "a dog"]


def test_a_broken_parquet_file_is_one_row_and_the_next_is_read(parquet, tmp_path):
    whole = parquet(text=["a cat", "a dog"]).read_bytes()
    (tmp_path / "0.parquet").write_bytes(whole[:-20])
    captions = read(tmp_path, "parquet")
    assert reasons(captions) == ["unreadable", None, None]
    assert "0.parquet from here on: ArrowInvalid" in captions[0].detail


def test_missing_columns_are_errors(parquet, tmp_path):
    path = parquet(caption=["a cat"], url=["u"])
    with pytest.raises(ValueError, match=r"columns\.text: .*a\.parquet has no column 'text'; it has caption, url"):
        read(path, "parquet")
    datasets.Dataset.from_dict({"caption": ["a cat"]}).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"columns\.text: .*saved has no column 'text'; it has caption"):
        read(tmp_path / "saved", "huggingface")


def test_saved_data_sets_with_splits_and_images(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    rows = {"caption": ["a cat", "a dog"], "image": [Image.new("RGB", (20, 20), "red"), None]}
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict(train=split, test=split.select([1])).save_to_disk(tmp_path / "saved")
    captions = read(tmp_path / "saved", "huggingface", text="caption", image="image")
    assert outcome(captions) == [("a cat", None), ("a dog", None), ("a dog", None)]
    assert [caption.original is None for caption in captions] == [False, True, True]
    (tmp_path / "saved/train/data-00000-of-00001.arrow").write_bytes(b"broken")
    (tmp_path / "empty").mkdir()
    for folder in ("saved", "empty"):
        with pytest.raises(ValueError, match=rf"sources\[0\]\.path: .*{folder}.* is no data set"):
            read(tmp_path / folder, "huggingface", text="caption")


def test_directories_for_load_dataset(tmp_path):
    (tmp_path / "hub/data").mkdir(parents=True)
    lines = [json.dumps({"text": text, "n": 1}) for text in ("a cat", "a dog")]
    (tmp_path / "hub/data/train.jsonl").write_text("\n".join(lines))
    assert outcome(read(tmp_path / "hub", "huggingface")) == [("a cat", None), ("a dog", None)]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.jpg").write_bytes(encoded())
    (tmp_path / "folder/metadata.csv").write_text("file_name,caption\na.jpg,a red cat\n")
    (caption,) = read(tmp_path / "folder", "huggingface", text="caption", image="image")
    assert (caption.text, caption.reason, caption.original is None) == ("a red cat", None, False)
