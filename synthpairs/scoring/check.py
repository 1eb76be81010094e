"""Check of a run's scores against reference implementations: scikit-image for SSIM, plain open_clip for the CLIP cosine.

Scores come from faster code (synthpairs.scoring.ssim, batched embeddings) or from the work store of an earlier run. So every run
computes both scores of PICTURES stored pictures again, one by one. A difference beyond the tolerance ends the stage.
"""

import heapq
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from synthpairs.core.determinism import best_device
from synthpairs.core.images import decode_image, image_member
from synthpairs.core.schema import digest
from synthpairs.core.storage import locate_shard
from synthpairs.models.clip import full_float32
from synthpairs.scoring.params import Scores, Ssim

PICTURES = 16  # per run; 1 s with loading scikit-image and the desk CLIP
DECIMALS = 6  # of a stored score; the precision of float32
SSIM_TOLERANCE = 1e-6  # largest difference measured: 2e-13 for uniform7, 3e-7 for gaussian11, whose sums are in float32
# Batches are summed in another order than single inputs. Largest differences measured with the desk CLIP and a ViT-B-32: 7e-8,
# 2e-4, 2e-3. In half precision every layer rounds: the tolerance is four times torch.finfo(...).eps.
COSINE_TOLERANCE = {"fp32": 1e-6, "fp16": 4e-3, "bf16": 3e-2}


def check_scores(
    scores: pd.DataFrame, manifest: pd.DataFrame, images: Path, params: Scores, store: Path
) -> dict[str, float]:
    """Compare scores with reference scores of some pictures; returns metrics: pictures checked, largest differences.

    `scores` has the columns of SCORES, `manifest` those of CANDIDATES; `store`, the work store's folder, is for the error. Which
    pictures are checked depends on the keys alone. ValueError names the first wrong score.

    Half a unit of the last stored digit, the rounding error, is subtracted from differences. In the metrics they are rounded to
    whole tolerances, so that tracked metrics do not depend on the order of a CPU's sums.
    """
    # By a hash of the key, so that they come from many shards: each shard holds neighbouring keys.
    keys = heapq.nsmallest(PICTURES, scores["key"], key=lambda key: digest("reference", key))
    scored, stored = (rows[rows["key"].isin(keys)].set_index("key").loc[keys] for rows in (scores, manifest))
    pictures = stored_pictures(stored["shard"], images)
    ssim = [reference_ssim(picture, params.ssim) for picture in pictures]
    cosines = reference_cosines(pictures, stored["text"].tolist(), params)
    largest = {}
    for column, references, tolerance, program in (
        ("ssim", ssim, SSIM_TOLERANCE, "scikit-image"),
        ("clip_cosine", cosines, COSINE_TOLERANCE[params.precision], "a plain open_clip call"),
    ):
        largest[column] = 0.0
        for key, score, reference in zip(keys, scored[column], references, strict=True):
            difference = max(abs(score - reference) - 0.5 * 10**-DECIMALS, 0.0)
            if not difference <= tolerance:  # so that NaN fails
                raise ValueError(
                    f"{images / stored.at[key, 'shard']}: {key}: {column} is {score:.{DECIMALS}f}, but {program} gives "
                    f"{reference:.{DECIMALS + 2}f}; at most {tolerance:g} apart is allowed. Delete {store}, where scores of "
                    "earlier runs are kept, and run `dvc repro scores`. If that fails too, the installed packages are not those "
                    "of requirements.lock: run `make env`"
                )
            largest[column] = max(largest[column], round(difference / tolerance) * tolerance)
    return {
        "checked": len(keys),
        "largest_ssim_difference": largest["ssim"],
        "largest_cosine_difference": largest["clip_cosine"],
    }


def stored_pictures(shards: pd.Series, images: Path) -> list[Image.Image]:
    """RGB pictures from the shards in the folder `images`; `shards` maps keys to file names."""
    samples = {name: dict(locate_shard(images / name)) for name in sorted(set(shards))}
    pictures = []
    for key, shard in shards.items():
        image = image_member(samples[shard][key])
        assert image  # it was scored
        pictures.append(decode_image(image.read()))
    return pictures


def reference_ssim(picture: Image.Image, spec: Ssim) -> float:
    """scikit-image's mean SSIM in [-1, 1] of an RGB picture with itself after down- and upscaling."""
    kernel = Image.Resampling[spec.kernel.upper()]
    if spec.resize_to is not None:
        picture = picture.resize((spec.resize_to, spec.resize_to), kernel)
    rescaled = picture.resize((spec.downscale_to, spec.downscale_to), kernel).resize(picture.size, kernel)
    if spec.colour == "gray":
        picture, rescaled = picture.convert("L"), rescaled.convert("L")
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(
        structural_similarity(
            np.asarray(picture), np.asarray(rescaled), data_range=255, channel_axis=-1 if spec.colour == "rgb" else None,
            **window if spec.window == "gaussian11" else {},
        )
    )  # fmt: skip


def reference_cosines(pictures: Sequence[Image.Image], texts: Sequence[str], params: Scores) -> list[float]:
    """CLIP cosines in [-1, 1] of pictures with their captions, by open_clip alone."""
    device = best_device()
    model, _, preprocess = open_clip.create_model_and_transforms(
        params.clip, params.pretrained, precision=params.precision, device=device, weights_only=True
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer(params.clip)
    dtype = open_clip.get_input_dtype(params.precision) or torch.float32
    cosines = []
    with torch.inference_mode(), full_float32():
        for picture, text in zip(pictures, texts, strict=True):
            image = model.encode_image(preprocess(picture)[None].to(device, dtype)).float()
            caption = model.encode_text(tokenizer([params.prefix + text]).to(device)).float()
            cosines.append(torch.nn.functional.cosine_similarity(image, caption).item())
    return cosines
