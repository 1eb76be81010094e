"""Projector initialisation in closed form: ridge regression from the eye's features to the words of the captions.

A random projector spends most of a small alignment finding out which direction of the eye means which word. That much is
linear: a picture's class token is regressed on the mean input embedding of what is said about it, each token weighted by how
few captions hold it (inverse document frequency). Few pairs make ridge regression say mostly what it is sure of, the
background's colour first; so its answers are whitened in part, which gives the names their share. LLaVA's two-layer perceptron
then starts as exactly that linear map, because gelu(x) - gelu(-x) = x, and training goes on from there. A regression needs of
its data no more than sums, and the sums of two data sets add up: so fine-tuning can start from captions and answers together.
In neither paper; docs/design-notes.md has what it brings.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from synthpairs.vlm.examples import IGNORED, Example, pixels_of
from synthpairs.vlm.params import ClosedForm

log = logging.getLogger(__name__)
BATCH = 64
RAREST = 0.01  # weight of a token that is in every caption: the full stop, the line end
FAINTEST = 1e-4  # share of the strongest direction's variance below which a direction is noise of the arithmetic


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over pictures of features x [width] and targets t [words' width], float64: all that the regression needs."""

    count: Tensor  # of pictures, or of patches where each is to say the caption
    features: Tensor  # x
    targets: Tensor  # t
    gram: Tensor  # x x'
    cross: Tensor  # x t'
    squares: Tensor  # t' t

    @classmethod
    @torch.no_grad()
    def of(cls, model: LlavaForConditionalGeneration, examples: Sequence[Example]) -> "Moments":
        """Those of examples with pictures; what is learnt of each is what is said about its picture. Zeros without any."""
        pictured = [example for example in examples if example.picture is not None]
        if not pictured:
            width, hidden = model.config.vision_config.hidden_size, model.get_input_embeddings().embedding_dim
            shapes = (), (width,), (hidden,), (width, width), (width, hidden), ()
            return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))
        features = _features(model, pictured)
        texts = [[token for token in example.labels if token != IGNORED] for example in pictured]
        targets = caption_targets(texts, model.get_input_embeddings().weight.double())
        x, t = features.flatten(0, 1), targets.repeat_interleave(features.shape[1], 0)
        return cls(torch.tensor(float(len(x))).double(), x.sum(0), t.sum(0), x.T @ x, x.T @ t, t.square().sum())

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Moments)))

    def save(self, file: Path) -> None:
        """Write them as safetensors."""
        save_file({field.name: getattr(self, field.name).contiguous() for field in fields(Moments)}, file)
        file.chmod(0o644)

    @classmethod
    def read(cls, file: Path) -> "Moments":
        """What `save` wrote."""
        return cls(**load_file(file))


@torch.no_grad()
def fit_projector(
    model: LlavaForConditionalGeneration, moments: Moments, start: ClosedForm, key: str
) -> dict[str, float | None]:
    """Set the projector in place; returns `r2`, the share of the targets' variance that the regression explains.

    `key` is the param that asked for it. `r2` is that of the regression, before whitening. Outputs get the spread of the
    language model's own embeddings. Without two different captions the projector stays as it is, and `r2` is None.
    ValueError when the projector's hidden layer is too narrow to hold a linear map.
    """
    width, projector = len(moments.features), model.model.multi_modal_projector
    if projector.linear_1.out_features < 2 * width:
        raise ValueError(
            f"params.yaml: {key} must be null here: the projector's hidden layer of {projector.linear_1.out_features} "
            f"cannot hold a linear map of {width} features, which takes twice as many"
        )
    middle, centre = (total / moments.count.clamp(min=1) for total in (moments.features, moments.targets))
    gram = moments.gram - moments.count * middle.outer(middle)
    cross = moments.cross - moments.count * middle.outer(centre)
    variance = moments.squares - moments.count * centre.square().sum()
    if variance <= FAINTEST * moments.squares:
        log.warning("the projector starts at random, whatever %s says: there are no two captions to tell apart", key)
        return {"r2": None}
    penalty = start.ridge * gram.trace() / width * torch.eye(width, dtype=gram.dtype)
    linear = torch.linalg.solve(gram + penalty, cross)
    missed = variance - 2 * (linear * cross).sum() + (linear * (gram @ linear)).sum()
    linear = linear @ whitening(linear.T @ gram @ linear, start.whitening)
    words = model.get_input_embeddings().weight.double()
    spread = ((linear * (gram @ linear)).sum() / (moments.count * len(centre) - 1)).sqrt()
    _write(projector, linear * words.std() / spread, middle, centre)
    return {"r2": round(1 - (missed / variance).item(), 3)}


def whitening(covariance: Tensor, degree: float) -> Tensor:
    """The symmetric map that takes each principal direction's variance v to v^(1 - degree); all [width, width]."""
    variances, directions = torch.linalg.eigh(covariance)
    kept = variances > FAINTEST * variances[-1]
    return directions[:, kept] @ (variances[kept, None] ** (-degree / 2) * directions[:, kept].T)


def _features(model: LlavaForConditionalGeneration, examples: Sequence[Example]) -> Tensor:
    """The features that are to say the caption, float64 [example, token, width]: the class token, or without it every patch."""
    batches = []
    for start in range(0, len(examples), BATCH):
        pixels = torch.stack(pixels_of(examples[start : start + BATCH]))
        states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        batches.append(states[model.config.vision_feature_layer].double())
    states = torch.cat(batches)
    return states[:, :1] if model.config.vision_feature_select_strategy == "full" else states[:, 1:]


def caption_targets(captions: Sequence[Sequence[int]], words: Tensor) -> Tensor:
    """The mean embedding of each caption's tokens [caption, width], rare tokens weighing more."""
    holding = Counter(token for caption in captions for token in set(caption))
    rows = []
    for caption in captions:
        weights = [max(math.log(len(captions) / holding[token]), RAREST) for token in caption]
        share = torch.tensor(weights, dtype=words.dtype) / sum(weights)
        rows.append(share @ words[list(caption)])
    return torch.stack(rows)


def _write(projector: LlavaMultiModalProjector, linear: Tensor, middle: Tensor, centre: Tensor) -> None:
    """Make the perceptron the map (x - middle) @ linear + centre; hidden units beyond that begin without effect."""
    width = len(middle)
    first, second = projector.linear_1, projector.linear_2
    identity = torch.eye(width, dtype=first.weight.dtype)
    first.bias[width * 2 :] = 0
    for sign, units in ((1, slice(0, width)), (-1, slice(width, 2 * width))):
        first.weight[units] = sign * identity
        first.bias[units] = -sign * middle.to(first.bias)
        second.weight[:, units] = sign * linear.T.to(second.weight)
    second.weight[:, 2 * width :] = 0
    second.bias.copy_(centre)
