"""Zero-shot probe of a projector: nearest concept name to its output in the language model's embedding space.

The projector's output lies in the space of the language model's token embeddings, so it is compared with the embedded
names of all concepts. The language model itself does not run.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from synthpairs.core.images import decode_image
from synthpairs.emoji.tasks.composer import SceneComposer

BATCH = 64  # images
SPLIT = "heldout_style"  # of the drawings: packages that the lock file marks `evaluate`
SEED = 0  # of backgrounds, sizes and positions in that style


@torch.inference_mode()
def zero_shot_probe(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, items: pd.DataFrame, concepts: list[str]
) -> pd.DataFrame:
    """Rows of ANSWERS for `items` (rows of BENCHMARK with one object): the nearest of `concepts`, and 1 if it is right.

    Nearest by cosine, after subtracting the mean over all images and over all names.
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
    """Projector output, float32 [image, width]: of the class token if the model keeps it, else the patches' mean."""
    images = [decode_image(png) for png in pictures]
    tower = model.model.vision_tower
    pixels = processor.image_processor(images, return_tensors="pt").pixel_values.to(model.device, tower.dtype)
    states = tower(pixels, output_hidden_states=True).hidden_states[model.config.vision_feature_layer]
    states = states[:, :1] if model.config.vision_feature_select_strategy == "full" else states[:, 1:]
    projector = model.model.multi_modal_projector
    return projector(states.to(next(projector.parameters()).dtype)).float().mean(1)


def unseen_style(items: pd.DataFrame, drawings: pd.DataFrame, concepts: list[str]) -> pd.DataFrame:
    """`items` (rows of BENCHMARK with one object) with an image of their concept in a style of no training data.

    Images keep the items' size and are deterministic. ValueError when a concept has no drawing in such a style.
    """
    composer = SceneComposer(drawings, SPLIT, concepts, decode_image(items["picture"].iloc[0]).width)
    rng = np.random.default_rng(SEED)
    return items.assign(
        picture=[composer.png(composer.compose(rng, "single", concept)) for concept in items["concept"]]
    )
