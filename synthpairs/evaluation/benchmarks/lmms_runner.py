"""lmms-eval's command line with a model that answers in batches; runs in lmms-eval's environment, without synthpairs.

The LLaVA of lmms-eval 0.7.3 takes one question at a time. Its `huggingface`, for any model with a processor, takes several,
but loads a LLaVA without its output layer and in bfloat16 whatever is stored, pads on the side that the tokenizer names,
passes a batch without images (half of ScienceQA's questions have none) on with an empty list, which transformers 5 refuses,
and where a task names no longest answer (VizWiz, SEED-Bench) it allows 4,096 tokens, which is all of Vicuna's context.

Where the environment has vLLM, lmms-eval's `vllm` is asked in its place. It takes its own longest answer for the task's
unless the task's is longer, leaves out the `<s>` before a chat, with which LLaVA was trained, and reads float32 as 16 bits.

The process ends when its standard input closes, since then the stage that started it is gone.
"""

import functools
import os
import threading
from importlib.metadata import packages_distributions
from types import SimpleNamespace
from typing import Any

from lmms_eval.__main__ import cli_evaluate
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models.chat import huggingface, vllm
from lmms_eval.models.registry_v2 import ModelManifest
from transformers import AutoConfig, LlavaForConditionalGeneration

NAME = "synthpairs_llava"
LONGEST = 1024  # tokens of an answer where its task does not say: that of lmms-eval's LLaVA


class Bounded:
    """A model of lmms-eval whose answers end after LONGEST tokens where the task does not say."""

    def generate_until(self, requests: list) -> list:
        """Answers, in the order of the requests."""
        for request in requests:
            request.args[2].setdefault("max_new_tokens", LONGEST)
        return super().generate_until(requests)  # type: ignore[misc]


class Llava(Bounded, huggingface.Huggingface):
    """`huggingface` for LLaVAs and for questions without images."""

    processor: Any

    def __init__(self, pretrained: str, **arguments: Any) -> None:
        huggingface.AutoModel = SimpleNamespace(from_pretrained=stored_llava)
        super().__init__(pretrained, **arguments)
        self.processor.tokenizer.padding_side = "left"
        self.processor = WithoutEmpty(self.processor)


class VllmLlava(Bounded, vllm.VLLM):
    """`vllm` for LLaVAs, with the task's longest answer and transformers' tokens."""

    client: Any

    def __init__(self, pretrained: str, batch_size: int, **_: Any) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # one process, which ends with its stage
        super().__init__(
            pretrained,
            batch_size=batch_size,
            max_new_tokens=1,
            dtype=AutoConfig.from_pretrained(pretrained).dtype,
            disable_log_stats=True,
        )
        self.client.chat = functools.partial(self.client.chat, tokenization_kwargs={"add_special_tokens": True})


def stored_llava(folder: str, device_map: str, **_: Any) -> LlavaForConditionalGeneration:
    """The LLaVA in a directory, in the precision in which it is stored."""
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype="auto", device_map=device_map)


class WithoutEmpty:
    """A processor that gets no empty lists of media."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, **inputs: Any) -> Any:
        """Call the processor."""
        return self._processor(**{name: value for name, value in inputs.items() if value != []})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)


MODEL = VllmLlava if "vllm" in packages_distributions() else Llava  # as `lmms_engine` names it


def end_with_stage() -> None:
    """End this process at once when its standard input closes."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin: a reading thread would hold its lock when Python ends
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_stage()
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(model_id=NAME, chat_class_path=f"__main__.{MODEL.__name__}"))
    cli_evaluate()
