"""What is measured of a picture alone: how many edges, how much surprise, how many parts."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import felzenszwalb

CANNY = (100, 200)  # thresholds of the gradient of 8-bit gray, OpenCV's usual ones
REGIONS = {
    "scale": 100,
    "sigma": 0.8,
    "min_size": 20,
}  # the example values of the segmentation's authors, for small pictures
NAMES = ("edge_density", "entropy", "clutter")


def picture_measures(picture: Image.Image, side: int) -> dict[str, float]:
    """NAMES of an RGB picture, brought to `side` x `side` pixels first, so that pictures of all sizes compare.

    `edge_density` is the share of pixels on an edge (Canny 1986), `entropy` that of the gray levels in bits, from 0 to 8,
    `clutter` the number of regions of a graph-based segmentation (Felzenszwalb and Huttenlocher 2004), which follows how
    cluttered people find a picture (Bravo and Farid 2008, https://doi.org/10.1167/8.1.23).
    """
    small = picture.resize((side, side), Image.Resampling.BICUBIC)
    gray = np.asarray(small.convert("L"))
    regions = felzenszwalb(np.asarray(small), **REGIONS)
    return {
        "edge_density": float(np.mean(cv2.Canny(gray, *CANNY) > 0)),
        "entropy": gray_entropy(gray),
        "clutter": float(len(np.unique(regions))),
    }


def gray_entropy(gray: NDArray[np.uint8]) -> float:
    """Shannon entropy in bits of the gray levels of a picture."""
    shares = np.bincount(gray.ravel(), minlength=256) / gray.size
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum()) + 0.0
