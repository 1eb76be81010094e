"""The filter that asks BLIP whether a caption and the picture that it came with belong together."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoProcessor, BlipForImageTextRetrieval

from synthpairs.captions.params import Blip
from synthpairs.captions.record import Caption
from synthpairs.core.determinism import best_device
from synthpairs.core.images import decode_image
from synthpairs.core.schema import normalise
from synthpairs.models.hub import model_folder


class BlipFilter:
    """A loaded image-text matching model with its limits (SynthVLM's supplement, table 1)."""

    def __init__(self, params: Blip, batch: int) -> None:
        self.params, self.batch = params, batch
        self.folder: Path = model_folder(params.model, "captions.blip.model")
        model = BlipForImageTextRetrieval.from_pretrained(self.folder, use_safetensors=True, trust_remote_code=False)
        self._model = model.eval().to(best_device())
        self._processor = AutoProcessor.from_pretrained(self.folder, trust_remote_code=False)

    def drop_unmatched(self, captions: Sequence[Caption]) -> None:
        """Reject what BLIP gives less than `min` or more than `max`; captions without an original pass unmeasured."""
        pairs = [(caption, caption.original) for caption in captions if caption.original is not None]
        for first in range(0, len(pairs), self.batch):
            chosen = pairs[first : first + self.batch]
            values = self._probabilities([normalise(caption.text) for caption, _ in chosen], [png for _, png in chosen])
            for (caption, _), value in zip(chosen, values, strict=True):
                caption.measures["blip_itm"] = round(value, 4)
                if not self.params.min <= caption.measures["blip_itm"] <= self.params.max:
                    caption.reject("blip", f"{value:.4f} is not from {self.params.min} to {self.params.max}")

    @torch.inference_mode()
    def _probabilities(self, texts: Sequence[str], pictures: Sequence[bytes]) -> list[float]:
        """Softmax of the matching head, positive class, of each text with its encoded picture."""
        inputs = self._processor(
            text=list(texts),
            images=[decode_image(png) for png in pictures],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
        ).to(self._model.device)
        # The parts one by one: transformers' own forward makes the picture's mask on the CPU, wherever the model is.
        states = self._model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        output = self._model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(states.shape[:-1], dtype=torch.long, device=states.device),
        )
        matching: list[float] = self._model.itm_head(output.last_hidden_state[:, 0]).softmax(1)[:, 1].tolist()
        return matching
