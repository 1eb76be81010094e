"""Projector initialisation in closed form: ridge regression from vision features to the words of the captions.

A random projector spends most of a small pretraining on which direction of the features means which word, which is a linear
map: the mean input embedding of a caption's tokens, weighted by inverse document frequency, is regressed on its image's class
token. Fitted on few pairs, ridge regression gives most of its output's variance to a few directions such as the
background's colour, so the outputs are partly whitened. LLaVA's two-layer perceptron is set to exactly that linear map, because
gelu(x) - gelu(-x) = x, and training starts from there. The regression needs sums over the data alone, and the sums of two data
sets add up, so fine-tuning can start from captions and answers together. In neither paper; its effect is in
docs/design-notes.md.
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
from synthpairs.vlm.params import RidgeInit

log = logging.getLogger(__name__)
BATCH = 64
MIN_IDF = 0.01  # weight of a token that is in every caption: the full stop, the line end
MIN_VARIANCE = 1e-4  # share of the largest variance below which a direction is rounding noise


@dataclass(frozen=True, slots=True)
class SufficientStats:
    """Sums over features x [width] and targets t [embedding width], float64: sufficient for the regression."""

    count: Tensor  # of pictures, or of patches where there is no class token
    features: Tensor  # x
    targets: Tensor  # t
    gram: Tensor  # x x'
    cross: Tensor  # x t'
    squares: Tensor  # t' t

    @classmethod
    @torch.no_grad()
    def of(cls, model: LlavaForConditionalGeneration, examples: Sequence[Example]) -> "SufficientStats":
        """Those of the examples with pictures; a picture's target is made of its example's learnt tokens. Zeros without any."""
        pictured = [example for example in examples if example.picture is not None]
        if not pictured:
            width, hidden = model.config.vision_config.hidden_size, model.get_input_embeddings().embedding_dim
            shapes = (), (width,), (hidden,), (width, width), (width, hidden), ()
            return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))
        features = _features(model, pictured)
        captions = [[token for token in example.labels if token != IGNORED] for example in pictured]
        targets = caption_targets(captions, model.get_input_embeddings().weight.double())
        x, t = features.flatten(0, 1), targets.repeat_interleave(features.shape[1], 0)
        return cls(torch.tensor(float(len(x))).double(), x.sum(0), t.sum(0), x.T @ x, x.T @ t, t.square().sum())

    def __add__(self, other: "SufficientStats") -> "SufficientStats":
        return SufficientStats(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(SufficientStats))
        )

    def save(self, file: Path) -> None:
        """Write a safetensors file."""
        save_file({field.name: getattr(self, field.name).contiguous() for field in fields(SufficientStats)}, file)
        file.chmod(0o644)

    @classmethod
    def read(cls, file: Path) -> "SufficientStats":
        """Read a file of `save`."""
        return cls(**load_file(file))


@torch.no_grad()
def fit_projector(
    model: LlavaForConditionalGeneration, stats: SufficientStats, init: RidgeInit, section: str
) -> dict[str, float | None]:
    """Set the projector in place; returns `r2`, the share of the targets' variance explained before whitening.

    Outputs get the standard deviation of the language model's own embeddings. Without two different captions the projector
    stays random, and `r2` is None. `section` of params.yaml is what messages name. ValueError when the projector's hidden layer
    is too narrow for a linear map.
    """
    width, projector = len(stats.features), model.model.multi_modal_projector
    if projector.linear_1.out_features < 2 * width:
        raise ValueError(
            f"params.yaml: {section}.projector_init must be null here: the projector's hidden layer of "
            f"{projector.linear_1.out_features} cannot hold a linear map of {width} features, which takes twice as many"
        )
    x_mean, t_mean = (total / stats.count.clamp(min=1) for total in (stats.features, stats.targets))
    gram = stats.gram - stats.count * x_mean.outer(x_mean)
    cross = stats.cross - stats.count * x_mean.outer(t_mean)
    variance = stats.squares - stats.count * t_mean.square().sum()
    if variance <= MIN_VARIANCE * stats.squares:
        log.warning(
            "the projector starts at random in spite of %s.projector_init: there are no two different captions", section
        )
        return {"r2": None}
    penalty = init.ridge * gram.trace() / width * torch.eye(width, dtype=gram.dtype)
    linear = torch.linalg.solve(gram + penalty, cross)
    residual = variance - 2 * (linear * cross).sum() + (linear * (gram @ linear)).sum()
    linear = linear @ whitening(linear.T @ gram @ linear, init.whitening)
    embeddings = model.get_input_embeddings().weight.double()
    spread = ((linear * (gram @ linear)).sum() / (stats.count * len(t_mean) - 1)).sqrt()
    _set_linear(projector, linear * embeddings.std() / spread, x_mean, t_mean)
    return {"r2": round(1 - (residual / variance).item(), 3)}


def whitening(covariance: Tensor, degree: float) -> Tensor:
    """Symmetric map [width, width] that turns the variance v of each principal direction into v^(1 - degree)."""
    variances, directions = torch.linalg.eigh(covariance)
    kept = variances > MIN_VARIANCE * variances[-1]
    return directions[:, kept] @ (variances[kept, None] ** (-degree / 2) * directions[:, kept].T)


def _features(model: LlavaForConditionalGeneration, examples: Sequence[Example]) -> Tensor:
    """Features to regress, float64 [example, token, width]: the class token, or every patch where there is none."""
    batches = []
    for start in range(0, len(examples), BATCH):
        pixels = torch.stack(pixels_of(examples[start : start + BATCH]))
        states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        batches.append(states[model.config.vision_feature_layer].double())
    states = torch.cat(batches)
    return states[:, :1] if model.config.vision_feature_select_strategy == "full" else states[:, 1:]


def caption_targets(captions: Sequence[Sequence[int]], embeddings: Tensor) -> Tensor:
    """The mean embedding [caption, width] of each caption's tokens, weighted by inverse document frequency."""
    document_counts = Counter(token for caption in captions for token in set(caption))
    rows = []
    for caption in captions:
        weights = [max(math.log(len(captions) / document_counts[token]), MIN_IDF) for token in caption]
        shares = torch.tensor(weights, dtype=embeddings.dtype) / sum(weights)
        rows.append(shares @ embeddings[list(caption)])
    return torch.stack(rows)


def _set_linear(projector: LlavaMultiModalProjector, linear: Tensor, x_mean: Tensor, t_mean: Tensor) -> None:
    """Make the perceptron the map (x - x_mean) @ linear + t_mean; spare hidden units have no effect at first."""
    width = len(x_mean)
    first, second = projector.linear_1, projector.linear_2
    identity = torch.eye(width, dtype=first.weight.dtype)
    first.bias[width * 2 :] = 0
    for sign, units in ((1, slice(0, width)), (-1, slice(width, 2 * width))):
        first.weight[units] = sign * identity
        first.bias[units] = -sign * x_mean.to(first.bias)
        second.weight[:, units] = sign * linear.T.to(second.weight)
    second.weight[:, 2 * width :] = 0
    second.bias.copy_(t_mean)
