from dataclasses import replace

from synthpairs.emoji.scenes import Scene, Thing
from synthpairs.generation.vq_pairs.listing import pair_list_hash

CAT = Thing(drawing="cat/flat", name="cat", x=0.5, y=0.5, size=0.8)
ONE = Scene(kind="single", background="red", style="flat", things=(CAT,))
OTHER = Scene(kind="single", background="blue", style="noto", things=(replace(CAT, drawing="cat/noto"),))
PNGS = {"cat/flat": b"1", "cat/noto": b"2", "dog/flat": b"3"}
HASH = "18d6a3d7aca98b8b08d0c14c56bc0c02058e0fdf5ee4954dd846f45ccd49a8f1"


def test_the_hash_does_not_change():
    """Published models have it in their records."""
    assert pair_list_hash([ONE, OTHER], PNGS) == HASH
    assert pair_list_hash([ONE, OTHER], PNGS | {"dog/flat": b"4"}) == HASH, "other drawings do not count"


def test_everything_in_the_scenes_counts():
    moved = replace(ONE, things=(replace(CAT, x=0.5000001),))
    others = [
        pair_list_hash([OTHER, ONE], PNGS),
        pair_list_hash([ONE], PNGS),
        pair_list_hash([moved, OTHER], PNGS),
        pair_list_hash([replace(ONE, background="green"), OTHER], PNGS),
        pair_list_hash([ONE, OTHER], PNGS | {"cat/noto": b"4"}),
    ]
    assert len({HASH, *others}) == 6
