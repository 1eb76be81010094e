"""Small corpora in the formats that the paper presets name: LLaVA's JSON with images, img2dataset's tars, benchmarks."""

import io
import json
import random

import pandas as pd
from datasets import Dataset
from PIL import Image, ImageDraw

from synthpairs.core.storage import shard_bytes, write_bytes

PAIRS = 40  # of each source
POPE = 8  # questions
THINGS = ["dog", "train", "clock", "bridge", "plate", "horse", "boat", "lamp", "child", "kite"]
PLACES = [
    "beside a river",
    "on a wooden table",
    "in front of a church",
    "under a grey sky",
    "in a field of wheat",
    "near the harbour",
]
LOOKS = ["red", "old", "small", "white", "broken", "tall", "quiet", "shiny"]
TASK = """\
task: sums
dataset_path: owner/sums
test_split: test
fewshot_split: test
fewshot_config: {sampler: first_n}
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""


def write_corpora(root):
    """Write `corpora/` into a project and return all captions."""
    draw = random.Random(0)
    pretrain = [(_caption(draw), _jpeg(draw, draw.randrange(300, 700), 400)) for _ in range(PAIRS)]
    datacomp = [(_caption(draw), _jpeg(draw, 512, draw.randrange(200, 600))) for _ in range(PAIRS)]
    _write_llava(root, pretrain)
    for name in ("datacomp", "cc3m", "cc12m"):
        _write_tars(root / name, datacomp)
    _write_mix(root, [picture for _, picture in pretrain])
    _write_tasks(root / "benchmarks", datacomp[:8])
    _write_pope(root / "benchmarks/lmms-lab-encoder/POPE/data/test-00000-of-00001.parquet")
    return [caption for caption, _ in pretrain + datacomp]


def _caption(draw):
    first, second = draw.sample(THINGS, 2)
    return f"A {draw.choice(LOOKS)} {first} {draw.choice(PLACES)} and a {draw.choice(LOOKS)} {second} {draw.choice(PLACES)}"


def _jpeg(draw, width, height):
    image = Image.new("RGB", (width, height), tuple(draw.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = draw.randrange(width), draw.randrange(height)
        pen.ellipse(
            (x, y, x + draw.randrange(20, 200), y + draw.randrange(20, 200)),
            fill=tuple(draw.randrange(256) for _ in range(3)),
        )
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _write_llava(root, pairs):
    records = []
    for number, (caption, picture) in enumerate(pairs):
        name = f"{number % 3:05}/{number:09}.jpg"
        (root / "llava_pretrain" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "llava_pretrain" / name).write_bytes(picture)
        turns = [
            {"from": "human", "value": "Render a clear and concise summary of the photo.\n<image>"},
            {"from": "gpt", "value": caption},
        ]
        records.append({"id": f"{number:09}", "image": name, "conversations": turns})
    (root / "blip_laion_cc_sbu_558k.json").write_text(json.dumps(records))


def _write_tars(folder, pairs):
    for shard in range(2):
        samples = []
        for number, (caption, picture) in list(enumerate(pairs))[shard::2]:
            key = f"{shard:05}{number:04}"
            record = {"key": key, "caption": caption, "status": "success", "width": 512, "original_width": 512}
            samples.append((key, {"jpg": picture, "txt": caption.encode(), "json": json.dumps(record).encode()}))
        write_bytes(folder / f"{shard:08}.tar", shard_bytes(samples))


def _write_mix(root, pictures):
    """Conversations as in the 665K mix: turns about an image, text alone, and one that is longer than 2,048 tokens."""
    records = []
    for number, picture in enumerate(pictures[:24]):
        name = f"{['coco/train2017', 'gqa/images', 'ocr_vqa/images'][number % 3]}/{number:012}.jpg"
        (root / "llava_665k" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "llava_665k" / name).write_bytes(picture)
        turns = [
            {"from": "human", "value": "<image>\nWhat is this?"},
            {"from": "gpt", "value": "A " + THINGS[number % 10]},
        ]
        turns += [{"from": "human", "value": "What colour is it?"}, {"from": "gpt", "value": LOOKS[number % 8]}] * (
            number % 3
        )
        records.append({"id": f"{number:012}", "image": name, "conversations": turns})
    for number, length in enumerate((3, 3, 1500)):
        turns = [
            {"from": "human", "value": "Tell me about numbers"},
            {"from": "gpt", "value": "one and two, " * length},
        ]
        records.append({"id": f"text{number}", "conversations": turns})
    (root / "llava_v1_5_mix665k.json").write_text(json.dumps(records))


def _write_tasks(folder, pairs):
    """The task `sums` for lm-eval, its data set for SYNTHPAIRS_DATASETS, and that of `flickr30k_caption`."""
    captioned = [
        (f"s{number:07}", {"jpg": picture, "txt": caption.encode()}) for number, (caption, picture) in enumerate(pairs)
    ]
    write_bytes(folder / "clip-benchmark/wds_flickr30k/test/0.tar", shard_bytes(captioned))
    (folder / "owner/sums").mkdir(parents=True)
    rows = {
        "question": [f"{n} and {n}?" for n in range(8)],
        "choices": [list("wxyz")] * 8,
        "answer": [n % 4 for n in range(8)],
    }
    pd.DataFrame(rows).to_parquet(folder / "owner/sums/test.parquet")
    (folder / "sums.yaml").write_text(TASK)


def _write_pope(path):
    """POPE, as lmms-eval's own task reads it, with other questions."""
    path.parent.mkdir(parents=True)
    rows = {
        "question_id": [str(n) for n in range(POPE)],
        "question": [f"Is there a {thing}?" for thing in THINGS[:POPE]],
        "answer": ["yes", "no"] * (POPE // 2),
        "image": [Image.new("RGB", (60, 40), (30 * n, 90, 200)) for n in range(POPE)],
    }
    Dataset.from_dict(rows).to_parquet(path)
