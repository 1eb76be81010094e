"""lmms-eval's command line with a model that answers in batches; runs in lmms-eval's environment, without synthpairs.

The LLaVA of lmms-eval 0.7.3 takes one question at a time. Its `huggingface`, for any model with a processor, takes several,
but loads a LLaVA without its output layer and in bfloat16 whatever is stored, pads on the side that the tokenizer names,
passes a batch without images (half of ScienceQA's questions have none) on with an empty list, which transformers 5 refuses,
and where a task names no longest answer (VizWiz, SEED-Bench) it allows 4,096 tokens, which is all of Vicuna's context.

The process ends when its standard input closes, since then the stage that started it is gone.
"""

import os
import threading
from typing import Any

from lmms_eval.__main__ import cli_evaluate
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models.chat.huggingface import Huggingface
from lmms_eval.models.registry_v2 import ModelManifest
from transformers import LlavaForConditionalGeneration

NAME = "synthpairs_llava"
LONGEST = 1024  # tokens of an answer where its task does not say: that of lmms-eval's LLaVA


class Llava(Huggingface):
    """`huggingface` for LLaVAs and for questions without images."""

    _model: Any
    processor: Any

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        super().__init__(pretrained, **arguments)
        self._model = None  # frees its memory
        self._model = LlavaForConditionalGeneration.from_pretrained(
            pretrained, dtype="auto", device_map=self.device_map
        ).eval()
        self.processor.tokenizer.padding_side = "left"
        self.processor = WithoutEmpty(self.processor)

    def generate_until(self, requests: list) -> list:
        """Answers, in the order of the requests."""
        for request in requests:
            request.args[2].setdefault("max_new_tokens", LONGEST)
        return super().generate_until(requests)


class WithoutEmpty:
    """A processor that gets no empty lists of media."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, **inputs: Any) -> Any:
        """Call the processor."""
        return self._processor(**{name: value for name, value in inputs.items() if value != []})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def end_with_stage() -> None:
    """End this process at once when its standard input closes."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin: a reading thread would hold its lock when Python ends
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_stage()
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(model_id=NAME, chat_class_path="__main__.Llava"))
    cli_evaluate()
