"""Zero-shot probe of a projector, read off without the language model: is a picture nearest to the right concept's name?

The projector writes into the language model's own embeddings, so its output can be compared with the embedded names of all
concepts. Cheap, and close to what a training set decides: the pairs teach the projector what things are called.
"""

import io

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.emoji.tasks.studio import Studio

BATCH = 64  # pictures at once
SPLIT = "heldout_style"  # of the drawings: those of the packages that the lock file marks `evaluate`
SEED = 0  # of backgrounds, sizes and positions in that style


@torch.inference_mode()
def zero_shot_probe(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, items: pd.DataFrame, concepts: list[str]
) -> pd.DataFrame:
    """Rows of ANSWERS about `items` (rows of BENCHMARK that show one thing): the nearest of `concepts`, and 1 if right.

    Compared are cosines after the mean over all pictures, and over all names, is taken off.
    """
    words = model.get_input_embeddings().weight.float()
    tokens = [processor.tokenizer(f" {concept}", add_special_tokens=False).input_ids for concept in concepts]
    names = torch.stack([words[ids].mean(0) for ids in tokens])
    batches = [items["picture"][start : start + BATCH] for start in range(0, len(items), BATCH)]
    outputs = torch.cat([_projected(model, processor, batch) for batch in batches])
    nearest = (F.normalize(outputs - outputs.mean(0)) @ F.normalize(names - names.mean(0)).T).argmax(1)
    answers = items[["uid", "category", "concept"]].assign(prediction=[concepts[index] for index in nearest.tolist()])
    return answers.assign(score=(answers["prediction"] == answers["concept"]).astype(float))


def _projected(model: LlavaForConditionalGeneration, processor: LlavaProcessor, pictures: pd.Series) -> Tensor:
    """The projector's output for each picture, float32 [picture, width]: of the class token where it is kept, else the mean."""
    images = [Image.open(io.BytesIO(png)).convert("RGB") for png in pictures]
    tower = model.model.vision_tower
    pixels = processor.image_processor(images, return_tensors="pt").pixel_values.to(model.device, tower.dtype)
    states = tower(pixels, output_hidden_states=True).hidden_states[model.config.vision_feature_layer]
    states = states[:, :1] if model.config.vision_feature_select_strategy == "full" else states[:, 1:]
    projector = model.model.multi_modal_projector
    return projector(states.to(next(projector.parameters()).dtype)).float().mean(1)


def unseen_style(items: pd.DataFrame, drawings: pd.DataFrame, concepts: list[str]) -> pd.DataFrame:
    """`items` (rows of BENCHMARK that show one thing), each with a picture of its concept in a style that no training has seen.

    Pictures have the items' size; equal input, equal pictures. ValueError when a concept has no drawing in such a style.
    """
    studio = Studio(drawings, SPLIT, concepts, Image.open(io.BytesIO(items["picture"].iloc[0])).width)
    rng = np.random.default_rng(SEED)
    return items.assign(picture=[studio.png(studio.compose(rng, "single", concept)) for concept in items["concept"]])
