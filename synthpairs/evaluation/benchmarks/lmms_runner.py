"""lmms-eval's command line with two faults of its LLaVA fixed; runs in lmms-eval's environment, without synthpairs.

lmms-eval 0.7.3 passes a question without an image (half of ScienceQA's) to the processor with an empty list of images,
which transformers 5 refuses; its older form `--force_simple` shows the model the previous question's image. And an
error while answering counts as an empty, wrong answer.

The process ends when its standard input closes, since then the stage that started it is gone.
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
    """`llava_hf` that takes questions without images and ends the process at the first error."""

    _image_processor: Any
    _model: Any

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._image_processor = NoneForEmpty(self._image_processor)
        generate = self._model.generate

        def answer(**inputs: Any) -> Any:
            try:
                return generate(**inputs)
            except Exception:
                traceback.print_exc()
                sys.exit(1)  # `llava_hf` catches every Exception, which SystemExit is not

        self._model.generate = answer


class NoneForEmpty:
    """An image processor that gets None in place of an empty list."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, images: list | None = None, videos: list | None = None, **others: Any) -> Any:
        """Call the processor."""
        return self._processor(images=images or None, videos=videos or None, **others)

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
