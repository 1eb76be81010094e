"""What a projector says of pictures, read off without the language model: is it nearest to the right name?

The projector speaks in the language model's own embeddings, so what it says of a picture can be compared with the names of
all concepts. Cheap, and close to what a training set decides: the pairs teach the projector what things are called.
"""

import io

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

BATCH = 64  # pictures at once


@torch.inference_mode()
def named(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, items: pd.DataFrame, concepts: list[str]
) -> pd.DataFrame:
    """Rows of ANSWERS about `items` (rows of BENCHMARK that show one thing): the nearest of `concepts`, and 1 if right.

    Compared are cosines after the mean is taken off: of all pictures from what is said of each, of all names from each name.
    """
    words = model.get_input_embeddings().weight.float()
    names = torch.stack([words[_ids(processor, concept)].mean(0) for concept in concepts])
    said = torch.cat(
        [_said(model, processor, items["picture"][start : start + BATCH]) for start in range(0, len(items), BATCH)]
    )
    nearest = (F.normalize(said - said.mean(0)) @ F.normalize(names - names.mean(0)).T).argmax(1)
    predictions = [concepts[place] for place in nearest.tolist()]
    told = items[["uid", "category", "concept"]].assign(prediction=predictions)
    return told.assign(score=(told["prediction"] == told["concept"]).astype(float))


def _ids(processor: LlavaProcessor, name: str) -> list[int]:
    return list(processor.tokenizer(f" {name}", add_special_tokens=False).input_ids)


def _said(model: LlavaForConditionalGeneration, processor: LlavaProcessor, pictures: pd.Series) -> Tensor:
    """What is said of each picture, float32 [picture, width]: by the class token where it is kept, else by the mean patch."""
    opened = [Image.open(io.BytesIO(png)).convert("RGB") for png in pictures]
    pixels = processor.image_processor(opened, return_tensors="pt").pixel_values.to(
        model.device, model.model.vision_tower.dtype
    )
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    seen = states[model.config.vision_feature_layer]
    telling = seen[:, :1] if model.config.vision_feature_select_strategy == "full" else seen[:, 1:]
    projector = model.model.multi_modal_projector
    return projector(telling.to(next(projector.parameters()).dtype)).float().mean(1)
