"""Parquet files and Hugging Face data sets."""

import json

import datasets
import numpy as np
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


def test_cells_without_a_python_value_are_faulty_rows(parquet):
    late = pa.array([0, 2**62], pa.int64()).cast(pa.timestamp("us"))
    captions = read(parquet(text=late), "parquet")
    assert "a.parquet row 2: text and source must be strings, got OverflowError" in captions[1].detail
    captions = read(parquet(text=["a cat", "a dog"], jpg=late), "parquet", image="jpg")
    assert (
        "a.parquet row 2: a picture must be encoded bytes, a path or a mapping with bytes or path, got OverflowError"
        in captions[1].detail
    )
    captions = read(parquet(text=["a cat", "a dog"], n=pa.array([1, None], pa.int64())), "parquet", source="n")
    assert outcome(captions) == [("a cat", "unreadable"), ("a dog", None)]
    assert "text and source must be strings, got str and int" in captions[0].detail


def test_lists_of_captions_share_their_image(parquet):
    captions = read(parquet(text=[["a cat", "a dog"], [], None], jpg=[encoded()] * 3), "parquet", image="jpg")
    assert outcome(captions) == [("a cat", None), ("a dog", None), ("", "unreadable"), ("", "unreadable")]
    assert captions[0].original == captions[1].original is not None


def test_a_repeated_column_is_an_error_where_it_is_read(tmp_path):
    table = pa.table([["a cat"], ["a dog"], ["x"]], names=["text", "text", "origin"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(
        ValueError, match=r"columns\.text: .*a\.parquet has 2 columns 'text'; it has text, text, origin"
    ):
        read(tmp_path / "a.parquet", "parquet")
    assert [caption.text for caption in read(tmp_path / "a.parquet", "parquet", text="origin")] == ["x"]


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


def test_a_saved_data_set_whose_offsets_lead_beyond_its_end_is_a_faulty_row(tmp_path):
    """Its file is mapped into memory, so that reading there would end the process (SIGBUS)."""
    datasets.Dataset.from_dict({"text": ["a cat", "a dog", "a bus"]}).save_to_disk(tmp_path / "saved")
    file, offsets = tmp_path / "saved/data-00000-of-00001.arrow", np.array([0, 5, 10, 15], np.int32)
    content, damaged = file.read_bytes(), np.array([0, 5, 2**30, 15], np.int32)
    assert content.count(offsets.tobytes()) == 1
    file.write_bytes(content.replace(offsets.tobytes(), damaged.tobytes()))
    assert reasons(read(tmp_path / "saved", "huggingface")) == ["unreadable"]


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


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Makes the files of a directory beside a secret one; whoever asks a server fails."""

    def connect(*arguments):
        raise AssertionError(f"asked {arguments}")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    (tmp_path / "secret.txt").write_text("a secret\n")
    datasets.Dataset.from_dict({"text": ["a secret"]}).save_to_disk(tmp_path / "secret")

    def write(**files):
        for name, content in files.items():
            (tmp_path / "hub" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "hub" / name).write_text(content)
        return tmp_path / "hub"

    return write


SECRETS = ["../secret.txt", "a/../../secret.txt", "{tmp}/secret.txt", "file:{tmp}/secret.txt", "file://{tmp}/secret.txt",
           "http://127.0.0.1:9/x.csv", "zip://x.txt::http://127.0.0.1:9/x.zip", "hf://datasets/a/b/c.csv"]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("form", ["{}", "[{}]", "[{{split: train, path: [a.txt, {}]}}]"])
def test_a_readme_names_no_file_outside_of_the_directory(name, form, hub, tmp_path):
    name = name.format(tmp=tmp_path)
    configs = f"configs:\n- config_name: default\n  data_files: {form.format(json.dumps(name))}"
    folder = hub(**{"README.md": f"---\n{configs}\n---\n", "a.txt": "a cat\n"})
    with pytest.raises(
        ValueError, match=r"hub is no data set for `datasets`: .*README.md names '.*', which is not in the dir"
    ):
        read(folder, "huggingface")


def test_a_readme_names_files_within_the_directory(hub):
    configs = "configs:\n- config_name: default\n  data_files: [{split: train, path: b/*.txt}]"
    folder = hub(
        **{"README.md": f"---\n{configs}\nurl: http://x\n---\nhttp://x", "a.txt": "a cat\n", "b/b.txt": "a dog\n"}
    )
    assert outcome(read(folder, "huggingface")) == [("a dog", None)]


@pytest.mark.parametrize("target", ["secret.txt", "."])
def test_a_link_leads_nowhere_outside_of_the_directory(target, hub, tmp_path):
    folder = hub(**{"b.txt": "a cat\n"})
    (folder / ("a.txt" if target != "." else "data")).symlink_to(tmp_path / target)
    if target == ".":
        (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: data/secret.txt\n---\n")
    with pytest.raises(ValueError, match=r"hub is no data set for `datasets`: .*(a|secret)\.txt leads out of it"):
        read(folder, "huggingface")
    (folder / "a.txt").unlink(missing_ok=True)
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "a.txt").symlink_to(folder / "b.txt")
    assert outcome(read(folder, "huggingface")) == [("a cat", None)] * 2


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {"state.json": json.dumps({"_data_files": [{"filename": "../secret/data-00000-of-00001.arrow"}]})},
            "leads out of it",
        ),
        ({"dataset_dict.json": '{"splits": ["../secret"]}'}, "leads out of it"),
        ({"dataset_dict.json": '{"splits": ["train"]}'}, "FileNotFoundError"),
        ({"state.json": "{}"}, "KeyError: '_data_files'"),
        ({"state.json": '{"_data_files": []}'}, ""),
        ({"state.json": "[" * 10_000}, "TooDeep"),
        ({"hub.py": "raise SystemExit", "a.txt": "a cat\n"}, "RuntimeError: Dataset scripts are no longer supported"),
        ({"a.pth": "x"}, ""),
        ({"a.pkl": "x"}, ""),
        ({"a.tar": ""}, "its files are of the kind 'webdataset'"),
        ({"a.xml": "<a/>"}, "its files are of the kind"),
        ({"README.md": "---\nconfigs: 3\n---\n", "a.txt": "a cat\n"}, ""),
        ({"README.md": "---\nconfigs: [x]\n---\n", "a.txt": "a cat\n"}, ""),
        ({"README.md": "---\na: [\n---\n", "a.txt": "a cat\n"}, ""),
        ({".huggingface.yaml": "configs: []", "a.txt": "a cat\n"}, r"its \.huggingface\.yaml is not read"),
        ({"dataset_infos.json": "3", "a.txt": "a cat\n"}, ""),
    ],
)
def test_what_is_no_data_is_one_line(files, fault, hub):
    folder = hub(**files)
    with pytest.raises(
        ValueError, match=rf"(?s)^params\.yaml: captions\.sources\[0\]\.path: .*hub is no data set .*{fault}"
    ):
        read(folder, "huggingface")
