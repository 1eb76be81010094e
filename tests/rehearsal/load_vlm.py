"""Loads a saved VLM by stock transformers of any version and prints what it got, as JSON; needs nothing of this repository.

`python tests/rehearsal/load_vlm.py models/vlm/selected/finetuned` must print the same by transformers 4.57 and 5, but for the
version and the logits' last digits.
"""

import json
import sys

import torch
import transformers
from PIL import Image


def picture() -> Image.Image:
    """A grey gradient, wider than high."""
    return Image.radial_gradient("L").resize((90, 60)).convert("RGB")


def loaded(directory: str) -> dict:
    """Missing and unexpected weights, and what the model answers about a picture, in float32."""
    model, report = transformers.AutoModelForImageTextToText.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    processor = transformers.AutoProcessor.from_pretrained(directory)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}
    prompt = processor.apply_chat_template([turn], add_generation_prompt=True)
    inputs = processor(text=prompt, images=picture(), return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(**inputs).logits[0, -1]
    answer = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs.input_ids.shape[1] :]
    return {
        "transformers": transformers.__version__,
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "input_ids": inputs.input_ids[0].tolist(),
        "pixels": inputs.pixel_values.flatten()[:8].tolist(),
        "logits": logits[:8].tolist(),
        "answer": processor.decode(answer, skip_special_tokens=True),
    }


if __name__ == "__main__":
    print(json.dumps(loaded(sys.argv[1]), indent=1))
