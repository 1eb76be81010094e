import dataclasses
import io
import os
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from synthpairs.core.storage import Slice, locate_shard, shard_bytes
from synthpairs.vlm.examples import IGNORED, Example, Examples, caption_examples
from synthpairs.vlm.model import assemble, load, save
from synthpairs.vlm.pictures import Picture, picture_digests


def test_a_picture_is_the_same_from_every_source(processor, picture, png, tmp_path):
    (tmp_path / "a.png").write_bytes(png(0))
    (tmp_path / "s.tar").write_bytes(shard_bytes([("k", {"png": png(0), "txt": b"a dog"}), ("l", {"png": png(1)})]))
    shard = dict(locate_shard(tmp_path / "s.tar"))
    sources = [png(0), tmp_path / "a.png", shard["k"]["png"], picture(0), None]
    *digests, none = picture_digests(sources)
    images = [Picture(source, processor.image_processor, b"") for source in sources[:-1]]
    expected = processor.image_processor(picture(0), return_tensors="pt").pixel_values[0].bfloat16()
    assert none is None
    assert all(torch.equal(image.pixels(), expected) for image in images)
    assert len(set(digests[:3])) == 1
    assert torch.equal(pickle.loads(pickle.dumps(images[1])).pixels(), expected)  # as for a data loader's worker
    pairs = [(key, "a dog", members["png"]) for key, members in shard.items()]
    examples, _ = caption_examples(pairs, processor, 80)
    assert all(isinstance(example.picture.source, Slice) for example in examples), (
        "pictures of shards are not held in memory"
    )
    (tmp_path / "a.png").write_bytes(png(0)[:50])
    with pytest.raises(OSError, match=r"a\.png: a picture cannot be decoded any more"):
        images[1].pixels()


def test_broken_pictures_are_none(picture, png, tmp_path):
    out = io.BytesIO()
    picture(0).resize((64, 40)).save(out, "JPEG")
    photo = out.getvalue()
    sources = [png(0), png(0)[:-200], photo, photo[: len(photo) // 2], b"", tmp_path / "none.png", png(1)]
    whole = [digest is not None for digest in picture_digests(sources)]
    assert whole == [True, False, True, False, False, False, True]


def test_pictures_from_outside_are_scaled_to_8_bits_and_limited(processor, tmp_path):
    grey = np.arange(0, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(grey * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "program.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    os.mkfifo(tmp_path / "pipe.png")
    names = ("deep.png", "plain.png", "program.eps", "pipe.png")
    deep, plain, *_ = (Picture(tmp_path / name, processor.image_processor, b"") for name in names)
    assert torch.equal(deep.pixels(), plain.pixels())
    assert picture_digests([tmp_path / name for name in names])[2:] == [None, None]


def test_examples_are_held_in_few_bytes():
    examples = Examples()
    tracemalloc.start()
    for number in range(2000):
        ids = [number % 7] * 90 + [1000 + number] * 10
        examples.add(ids, [0] * 90 + [1] * 10, None)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2000 * 100 * 8  # a list of numbers takes 16 for each token and its label, and the numbers themselves
    assert examples[3] == examples[-1997] == Example([3] * 90 + [1003] * 10, [IGNORED] * 90 + [1003] * 10, None)
    assert examples.lengths == [100] * 2000
    assert examples.learnt == [10] * 2000
    with pytest.raises(IndexError):
        examples[2000]


def test_padding_keeps_the_whole_picture_and_is_saved(parts, tmp_path):
    wide = Image.new("RGB", (40, 20), "white")
    cropped, padded = (assemble(dataclasses.replace(parts, image_aspect_ratio=aspect)) for aspect in ("crop", "pad"))
    assert (cropped[1].image_processor(wide, return_tensors="pt").pixel_values == 1).all()
    pixels = padded[1].image_processor(wide, return_tensors="pt").pixel_values[0]
    assert (pixels[:, 6:10] == 1).all()
    assert pixels[:, [0, 1, -2, -1]].abs().max() < 0.02  # the mean colour, 127 of 127.5
    save(*padded, tmp_path / "vlm")
    again = load(tmp_path / "vlm")[1].image_processor(wide, return_tensors="pt").pixel_values[0]
    assert torch.equal(again, pixels)
