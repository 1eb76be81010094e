"""A closed-form start for the projector: ridge regression from the eye's features to the words of the captions.

A random projector spends most of a small alignment finding out which direction of the eye means which word. That much is
linear: a picture's class token is regressed on the mean input embedding of its caption's tokens, each weighted by how few
captions hold it (inverse document frequency). LLaVA's two-layer perceptron then starts as exactly that linear map,
because gelu(x) - gelu(-x) = x, and training goes on from there. In neither paper; docs/design-notes.md has what it brings.
"""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from synthpairs.vlm.examples import IGNORED, Example

BATCH = 64
RAREST = 0.01  # weight of a token that is in every caption: the full stop, the line end


@torch.no_grad()
def fit_projector(model: LlavaForConditionalGeneration, examples: Sequence[Example], ridge: float) -> dict[str, float]:
    """Set the projector in place from captioned examples; returns `r2`, the share of the targets' variance that it explains.

    `ridge` is the penalty as a share of the features' mean variance. Outputs get the spread of the language model's own
    embeddings. ValueError when the projector's hidden layer is too narrow to hold a linear map.
    """
    features = _features(model, examples)
    words = model.get_input_embeddings().weight.double()
    targets = _targets(examples, words)
    width = features.shape[-1]
    projector = model.model.multi_modal_projector
    if projector.linear_1.out_features < 2 * width:
        raise ValueError(
            f"params.yaml: align.ridge must be null here: the projector's hidden layer of {projector.linear_1.out_features} "
            f"cannot hold a linear map of {width} features, which takes twice as many"
        )
    if len({tuple(example.labels) for example in examples}) < 2:
        raise ValueError("params.yaml: align.ridge must be null here: there are no two captions to tell apart")
    start, centre = features.mean((0, 1)), targets.mean(0)
    inputs = (features - start).flatten(0, 1)
    wanted = (targets - centre).repeat_interleave(features.shape[1], 0)
    gram = inputs.T @ inputs
    penalty = ridge * inputs.square().sum(0).mean() * torch.eye(width, dtype=gram.dtype)
    linear = torch.linalg.solve(gram + penalty, inputs.T @ wanted)
    fitted = inputs @ linear
    r2 = 1 - (wanted - fitted).square().sum() / wanted.square().sum()
    linear *= words.std() / fitted.std()
    _write(projector, linear, start, centre)
    return {"r2": round(r2.item(), 3)}


def _features(model: LlavaForConditionalGeneration, examples: Sequence[Example]) -> Tensor:
    """The features that are to say the caption, float64 [example, token, width]: the class token, or without it every patch."""
    found = []
    for start in range(0, len(examples), BATCH):
        pixels = torch.stack(
            [example.pixels for example in examples[start : start + BATCH] if example.pixels is not None]
        )
        states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        found.append(states[model.config.vision_feature_layer].double())
    states = torch.cat(found)
    return states[:, :1] if model.config.vision_feature_select_strategy == "full" else states[:, 1:]


def _targets(examples: Sequence[Example], words: Tensor) -> Tensor:
    """The mean embedding of each example's caption [example, width], rare tokens weighing more."""
    captions = [[token for token in example.labels if token != IGNORED] for example in examples]
    holding = Counter(token for caption in captions for token in set(caption))
    rows = []
    for caption in captions:
        weights = [max(math.log(len(captions) / holding[token]), RAREST) for token in caption]
        share = torch.tensor(weights, dtype=words.dtype) / sum(weights)
        rows.append(share @ words[caption])
    return torch.stack(rows)


def _write(projector: LlavaMultiModalProjector, linear: Tensor, start: Tensor, centre: Tensor) -> None:
    """Make the perceptron the map (x - start) @ linear + centre; hidden units beyond that begin without effect."""
    width = len(start)
    first, second = projector.linear_1, projector.linear_2
    identity = torch.eye(width, dtype=first.weight.dtype)
    first.bias[width * 2 :] = 0
    for sign, place in ((1, slice(0, width)), (-1, slice(width, 2 * width))):
        first.weight[place] = sign * identity
        first.bias[place] = -sign * start.to(first.bias)
        second.weight[:, place] = sign * linear.T.to(second.weight)
    second.weight[:, 2 * width :] = 0
    second.bias.copy_(centre)
