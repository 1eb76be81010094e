import pandas as pd
import pytest

from synthpairs.core.schema import CAPTIONS, REJECTED, SELECTED
from synthpairs.core.storage import write_table
from synthpairs.evaluation.diversity.sets import draw, read_sets
from tests.evaluation.diversity.conftest import caption
from tests.memory import add_pictures, little_memory

INVENTED = [("u1", "an owl", None), ("u2", "owl", "length"), ("u3", "a bee", None), (None, None, None)]  # last: failed


def class_captions(data, rows):
    (data / "class_captions").mkdir()
    pd.DataFrame(rows, columns=["uid", "text", "reason"], dtype=object).to_parquet(
        data / "class_captions/captions.parquet"
    )


def test_every_set_has_its_captions(data):
    class_captions(data, INVENTED)
    write_table(data / "filtered_captions/kept.parquet", [caption("a bee", "invented")], CAPTIONS)
    names = [
        "reference",
        "reference-kept",
        "generated",
        "generated-kept",
        "curated",
        "selected",
        "class-captions",
        "filtered",
    ]
    sets = read_sets(names, data)
    assert list(sets) == names
    assert {name: len(table) for name, table in sets.items()} == {
        "reference": 6, "reference-kept": 3, "generated": 4, "generated-kept": 2, "curated": 5, "selected": 1,
        "class-captions": 2, "filtered": 1,
    }  # fmt: skip
    assert sorted(sets["reference"]["text"]) == ["IMG_1.JPG", "a dog", "a dog", "big big", "big dog", "red dog"]
    assert sorted(sets["class-captions"]["text"]) == ["a bee", "an owl"]
    assert list(sets["filtered"]["text"]) == ["a bee"]


def test_a_missing_table_is_named_with_its_stage(data):
    for names, message in (
        (
            ["human"],
            "no caption set 'human'; there are curated, .*, reference, generated, reference-kept, generated-kept",
        ),
        (
            ["reference", "class-captions"],
            r"class_captions/captions\.parquet is missing: run `dvc repro class_captions` first",
        ),
        (["filtered"], r"filtered_captions/kept\.parquet is missing: run `dvc repro filter_captions` first"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_sets(names, data)
    for name, file, message in (
        ("selected", "selection/selected.parquet", r"selected\.parquet is missing: run `dvc repro select`"),
        ("reference", "captions/rejected.parquet", r"rejected\.parquet is missing: run `dvc repro captions`"),
    ):
        (data / file).unlink()
        with pytest.raises(FileNotFoundError, match=message):
            read_sets([name], data)


def test_sets_may_be_empty(data):
    """No invented caption was kept, none was selected, and there is none of source `model`."""
    class_captions(data, [])
    write_table(data / "selection/selected.parquet", [], SELECTED)
    for name, schema in (("kept", CAPTIONS), ("rejected", REJECTED)):
        table = pd.read_parquet(data / f"captions/{name}.parquet")
        write_table(data / f"captions/{name}.parquet", table[table["source"] == "human"], schema)
    sets = read_sets(["class-captions", "selected", "generated", "generated-kept", "reference"], data)
    assert {name: len(table) for name, table in sets.items()} == {
        "class-captions": 0, "selected": 0, "generated": 0, "generated-kept": 0, "reference": 6,
    }  # fmt: skip


def test_draws_depend_on_captions_and_seed_only():
    captions = pd.DataFrame({"uid": [f"u{number}" for number in range(40)]}).assign(
        text=lambda table: table["uid"] + "!"
    )
    first = draw(captions, 10, 0)
    assert draw(captions.sample(frac=1, random_state=1), 10, 0) == first
    assert draw(captions, 15, 0)[:10] == first
    assert draw(captions, 10, 1) != first
    assert sorted(draw(captions, 40, 0)) == sorted(captions["text"])
    assert draw(captions[captions["text"] != first[0]], 9, 0) == first[1:]
    copies = pd.DataFrame({"uid": ["u"] * 3 + ["v"], "text": ["x"] * 3 + ["y"]})
    assert sorted(draw(copies, 4, 0)) == ["x", "x", "x", "y"]
    assert len({tuple(draw(copies, 4, seed)) for seed in range(20)}) > 1, "copies of a caption are drawn independently"


def test_originals_do_not_have_to_fit_into_memory(data):
    before = read_sets(["reference", "reference-kept"], data)
    add_pictures(data)
    with little_memory():
        after = read_sets(["reference", "reference-kept"], data)
    assert {name: list(table["uid"]) for name, table in after.items()} == {
        name: list(table["uid"]) for name, table in before.items()
    }
