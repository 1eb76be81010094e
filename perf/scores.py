"""Speed of scoring images of 1024 pixels: ours, one by one with scikit-image, and without SSIM: `python -m perf.scores`.

CLIP is ViT-B/32 with random weights. SSIM is that of 1024 -> 336 -> 1024 pixels in colour.
"""

import argparse
import io
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from perf.paired import at_least, ratio, seconds_in_turns, spread, with_interval
from perf.ssim import images
from synthpairs.core.images import decode_image
from synthpairs.core.shards import write_shards
from synthpairs.models.clip import ClipScorer
from synthpairs.runtime.stage import run_stage
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.preprocessing import Preprocessed, preprocessors
from synthpairs.scoring.score import CaptionEmbeddings, score_shard

SIDE, SMALL, BATCH = 1024, 336, 8
SPEC = Ssim(resize_to=None, downscale_to=SMALL, kernel="bilinear", window="uniform7", colour="rgb")


class RandomClip(ClipScorer):
    """ViT-B/32 with random weights."""

    def __init__(self) -> None:
        self.model, _, self.preprocess = open_clip.create_model_and_transforms("ViT-B-32")
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer("ViT-B-32")
        self.prefix, self.batch, self.device, self.dtype = "", BATCH, torch.device("cpu"), torch.float32


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.scores")
    parser.add_argument("--images", type=int, default=32, help="in a shard (default: 32)")
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each way (default: 7)")
    options = parser.parse_args()
    at_least(1, images=options.images, rounds=options.rounds)
    file = io.BytesIO()
    Image.fromarray(images(SIDE, "rgb")[0]).save(file, "PNG")
    keys, payload = [f"{index:024x}" for index in range(options.images)], file.getvalue()
    rows = [{"key": key, "uid": "a", "concept": "", "text": "a gradient"} for key in keys]
    scorer = RandomClip()
    texts = CaptionEmbeddings(scorer)
    caption = texts.of(rows[:1])[0]

    def without_ssim(payload: bytes) -> Preprocessed:
        return Preprocessed(scorer.preprocess(decode_image(payload)).numpy(), 0.0, None)

    def one_by_one() -> list[tuple[float, float]]:
        """An image at a time through CLIP, then scikit-image's SSIM."""
        values = []
        for _ in rows:
            image = Image.open(io.BytesIO(payload)).convert("RGB")
            with torch.inference_mode():
                cosine = float(scorer.model.encode_image(scorer.preprocess(image)[None], normalize=True)[0] @ caption)
            small = image.resize((SMALL, SMALL), Image.Resampling.BILINEAR)
            again = np.asarray(small.resize(image.size, Image.Resampling.BILINEAR))
            values.append((cosine, structural_similarity(np.asarray(image), again, channel_axis=2, data_range=255)))
        return values

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as threads, \
            preprocessors(scorer.preprocess, SPEC, False, 0) as submit:  # fmt: skip
        write_shards(Path(folder), [("shard.tar", [(key, {"png": payload}) for key in keys])])
        scored = partial(score_shard, Path(folder, "shard.tar"), rows, scorer, SPEC, texts)

        def ours() -> list[dict]:
            return list(scored(submit)["scored"])

        def bare() -> dict:
            return scored(lambda payloads: [threads.submit(without_ssim, payload) for payload in payloads])

        mine, theirs, least = seconds_in_turns((ours, one_by_one, bare), options.rounds, time.perf_counter)
        difference = max(
            max(abs(row["clip_cosine"] - cosine), abs(row["ssim"] - ssim))
            for row, (cosine, ssim) in zip(ours(), one_by_one(), strict=True)
        )
    for name, other in (("one by one", theirs), ("without SSIM", least)):
        print(f"{name}: {with_interval(ratio(other, mine))} times our seconds")
    per_image = spread([seconds / len(rows) for seconds in mine])
    print(f"ours: {with_interval(per_image)} s an image, difference of scores {difference:.0e}")


if __name__ == "__main__":
    run_stage(main)
