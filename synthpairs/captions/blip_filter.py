"""BLIP filter: image-text matching of captions and their original images."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoProcessor, BlipForImageTextRetrieval

from synthpairs.captions.pair_values import pair_values
from synthpairs.captions.params import Blip
from synthpairs.captions.record import Caption
from synthpairs.core.determinism import best_device
from synthpairs.core.images import decode_image
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, file_sha256
from synthpairs.models.hub import model_folder, require_safetensors
from synthpairs.models.language.chat import without_control_tokens


class BlipFilter:
    """A loaded image-text matching model with its limits (SynthVLM's supplement, table 1)."""

    def __init__(self, params: Blip, batch: int) -> None:
        self.params, self.batch = params, batch
        self.folder: Path = model_folder(params.model, "captions.blip.model")
        require_safetensors(self.folder, params.model, "captions.blip.model")
        model = BlipForImageTextRetrieval.from_pretrained(self.folder, use_safetensors=True, trust_remote_code=False)
        self._model = model.eval().to(best_device())
        self._hash = digest(file_sha256(self.folder), batch)
        self._processor = AutoProcessor.from_pretrained(self.folder, trust_remote_code=False)

    def filter(self, captions: Sequence[Caption], store: WorkStore) -> None:
        """Reject captions with a probability outside [`min`, `max`]; those without an original pass unmeasured."""
        for caption, value in pair_values(store, "blip", self._hash, captions, self.batch, self._probabilities):
            caption.measures["blip_itm"] = round(value, 4)
            if not self.params.min <= caption.measures["blip_itm"] <= self.params.max:
                caption.reject("blip", f"{value:.4f} is not from {self.params.min} to {self.params.max}")

    @torch.inference_mode()
    def _probabilities(self, texts: Sequence[str], images: Sequence[bytes]) -> list[float]:
        """Matching probability of each text and its encoded image."""
        inputs = self._processor(
            text=without_control_tokens(texts, self._processor.tokenizer),
            images=[decode_image(png) for png in images],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
        ).to(self._model.device)
        # Not the model's own forward, because it creates the image attention mask on the CPU whatever the device.
        states = self._model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        output = self._model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=states,
            encoder_attention_mask=torch.ones(states.shape[:-1], dtype=torch.long, device=states.device),
        )
        matching: list[float] = self._model.itm_head(output.last_hidden_state[:, 0]).softmax(1)[:, 1].tolist()
        return matching
