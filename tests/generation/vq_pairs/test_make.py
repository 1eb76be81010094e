import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.encode_real_pairs import main
from synthpairs.core.schema import DRAWINGS, REAL_PAIRS, pair_key
from synthpairs.core.storage import write_table
from synthpairs.emoji.drawings import drawings_of_split
from synthpairs.emoji.pool import draw_scenes, render_scenes
from synthpairs.emoji.scenes import is_plural, plural
from synthpairs.generation.vq_pairs.encoding import Encoder
from synthpairs.generation.vq_pairs.listing import RECORD
from tests.captions.conftest import CONCEPTS
from tests.generation.vq_pairs.conftest import CODES


def outputs(root):
    files = [*(root / "data/real_pairs").iterdir(), root / "reports/metrics/encode_real_pairs.json"]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


def test_pairs_are_the_first_of_the_list_and_reproducible(project, drawings, tiny_vq):
    root = project()
    main()
    first = outputs(root)
    table = pq.read_table(root / "data/real_pairs/pairs.parquet")
    assert table.schema.equals(REAL_PAIRS)
    pairs = table.to_pandas()
    rows = list(drawings_of_split(drawings, "train", CONCEPTS))
    scenes = draw_scenes(rows, 1, 90, {"single": 0.5, "pair": 0.25, "several": 0.25})[:70]
    record = json.loads((root / "models/masked" / RECORD).read_text())
    assert json.loads(first["data/real_pairs/list.json"]) == record | {"used": 70, "grid": [8, 8]}
    assert list(pairs["key"]) == [pair_key(record["sha256"], number) for number in range(70)]
    assert [list(shown) for shown in pairs["drawings"]] == [[t.drawing for t in scene.things] for scene in scenes]
    assert list(pairs["concept"]) == [scene.names[0] for scene in scenes]
    for text, name in zip(pairs["text"], pairs["concept"], strict=True):
        assert name in text or (not is_plural(name) and plural(name) in text)
    expected = Encoder(tiny_vq).tokens(render_scenes(scenes, rows), lambda count: None)
    assert np.array_equal(np.stack(pairs["tokens"]).reshape(-1, 8, 8), expected)
    counts = json.loads(first["reports/metrics/encode_real_pairs.json"])
    assert (counts["scenes"], counts["used"], counts["concepts"]) == (90, 70, 4)
    assert sum(counts["kinds"].values()) == 70
    assert counts["codes_used"] == round(len(np.unique(expected)) / CODES, 4)
    shutil.rmtree(root / "data/real_pairs")
    main()
    assert outputs(root) == first
    project(used=90)
    main()
    many = pd.read_parquet(root / "data/real_pairs/pairs.parquet")
    assert len(many) == 90
    pd.testing.assert_frame_equal(many.head(70), pairs)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"seed": 2},
            r"encode_real_pairs\.seed, encode_real_pairs\.kinds, world\.concepts or emoji\.image_size .* have changed",
        ),
        ({"kinds": {"single": 1.0}}, r"encode_real_pairs\.kinds, .* have changed"),
        ({"scenes": 91}, r"params\.yaml: encode_real_pairs\.scenes was 90"),
        ({}, "the pinned emoji sets have changed"),
    ],
)
def test_another_list_than_the_tokenizers_is_an_error(project, drawings, changed, why):
    root = project(**changed)
    if not changed:  # other drawings of the same names
        redrawn = drawings.assign(png=[*drawings["png"][4:], *drawings["png"][:4]])
        write_table(root / "data/emoji/drawings.parquet", redrawn, DRAWINGS)
    record = json.loads((root / "models/masked" / RECORD).read_text())["sha256"]
    with pytest.raises(ValueError, match=rf"masked/pairs\.json: .* {record} \(90 scenes\), .*{why}"):
        main()
    assert not (root / "data/real_pairs").exists()


def test_too_few_scenes_and_invalid_records_are_errors(project):
    record = project(used=91) / "models/masked" / RECORD
    with pytest.raises(
        ValueError, match=r"encode_real_pairs\.used must be at most encode_real_pairs\.scenes \(90\), got 91"
    ):
        main()
    project()
    record.write_text("[]")
    with pytest.raises(ValueError, match=r"models/masked/pairs\.json names no pair list"):
        main()
    record.unlink()
    with pytest.raises(FileNotFoundError, match=r"models/masked/pairs\.json is missing: .*train it anew"):
        main()
