"""What is measured of a picture alone: how many edges, how much surprise, how many parts."""

import cv2
import numpy as np
from PIL import Image
from skimage.measure import shannon_entropy
from skimage.segmentation import felzenszwalb

CANNY = (100, 200)  # thresholds of the gradient of 8-bit gray, OpenCV's usual ones
REGIONS = {"scale": 100, "sigma": 0.8, "min_size": 20}  # the segmentation's authors' example values, for small pictures
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
        "entropy": float(shannon_entropy(gray)) + 0.0,  # not -0.0
        "clutter": float(len(np.unique(regions))),
    }
