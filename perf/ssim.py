"""Speed of SSIM against scikit-image's, by window and colour: `python -m perf.ssim`, see perf/README.md."""

import argparse
import itertools

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from perf.paired import at_least, ratio, seconds_in_turns, spread, with_interval
from synthpairs.runtime.stage import run_stage
from synthpairs.scoring.ssim import mean_ssim

OPTIONS: dict[str, dict] = {
    "uniform7": {"win_size": 7},
    "gaussian11": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def images(side: int, colour: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gradients with noise on one half, uint8 [side, side] or [side, side, 3], and the same downscaled by 3 and back."""
    rng = np.random.default_rng(0)
    gradients = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((side, side))
    pixels = np.asarray(gradients).astype(float)
    pixels[:, side // 2 :] += rng.normal(0, 20, pixels[:, side // 2 :].shape)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("L" if colour == "gray" else "RGB")
    small = image.resize((side // 3, side // 3), Image.Resampling.BILINEAR)
    return np.asarray(image), np.asarray(small.resize(image.size, Image.Resampling.BILINEAR))


def compared(window: str, colour: str, side: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Ratio of scikit-image's seconds to ours and our seconds, each with interval; absolute difference of the results."""
    one, other = images(side, colour)
    options = OPTIONS[window] | ({"channel_axis": 2} if colour == "rgb" else {})

    def ours() -> float:
        return mean_ssim(one, other, window)

    def theirs() -> float:
        return float(structural_similarity(one, other, data_range=255, **options))

    mine, reference = seconds_in_turns((ours, theirs), rounds)
    return ratio(reference, mine), spread(mine), abs(ours() - theirs())


def main() -> None:
    """Measure and print one line per variant."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.ssim")
    parser.add_argument("--side", type=int, default=1024, help="pixels (default: 1024)")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of timed calls (default: 15)")
    options = parser.parse_args()
    at_least(33, side=options.side)
    at_least(1, rounds=options.rounds)
    cv2.setNumThreads(1)  # scikit-image has one thread
    print(
        f"{options.side} x {options.side} pixels, medians [95% interval] over {options.rounds} pairs of calls, CPU seconds"
    )
    for window, colour in itertools.product(OPTIONS, ("gray", "rgb")):
        times, mine, difference = compared(window, colour, options.side, options.rounds)
        speeds = f"scikit-image/ours {with_interval(times)}, ours {with_interval(mine)} s"
        print(f"{window} {colour}: {speeds}, difference {difference:.0e}")


if __name__ == "__main__":
    run_stage(main)
