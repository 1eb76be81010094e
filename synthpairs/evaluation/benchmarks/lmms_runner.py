"""lmms-eval's command line, with its LLaVA mended. Runs in lmms-eval's environment and imports nothing of ours.

Two things of lmms-eval 0.7.3 would falsify numbers. A question without a picture, as half of ScienceQA's are, goes to the
processor with an empty list of pictures, which transformers 5 refuses (its older form `--force_simple` even shows the
model the picture of the question before). And whatever fails while an answer is made counts as an empty, wrong answer.

Its stage holds the other end of its standard input open and says nothing. When that end closes the stage is gone, killed perhaps,
and nobody is left to read the answers.
"""

import os
import sys
import threading
import traceback
from typing import Any

from lmms_eval.__main__ import cli_evaluate
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models.chat.llava_hf import LlavaHf
from lmms_eval.models.registry_v2 import ModelManifest

NAME = "synthpairs_llava"


class Llava(LlavaHf):
    """`llava_hf` that takes questions without pictures and ends at the first error."""

    _image_processor: Any
    _model: Any

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._image_processor = Seeing(self._image_processor)
        generate = self._model.generate

        def answer(**inputs: Any) -> Any:
            try:
                return generate(**inputs)
            except Exception:
                traceback.print_exc()
                sys.exit(1)  # `llava_hf` catches what is an Exception, which this is not

        self._model.generate = answer


class Seeing:
    """A processor for which no pictures are None."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, images: list | None = None, videos: list | None = None, **others: Any) -> Any:
        """As the processor itself."""
        return self._processor(images=images or None, videos=videos or None, **others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


def end_with_stage() -> None:
    """End this process at once when its standard input closes."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock a reading thread would still hold when Python ends
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_stage()
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(model_id=NAME, chat_class_path="__main__.Llava"))
    cli_evaluate()
