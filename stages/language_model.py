"""Stage `language_model`: unpack the pinned language model into a plain directory; `dvc repro language_model`."""

from pathlib import Path

from synthpairs.core.storage import file_sha256
from synthpairs.models.language.params import GgufSource
from synthpairs.models.language.weights import unpack_gguf
from synthpairs.runtime.stage import Result, run_stage, stage

OUT = Path("models/llm")


@stage(metrics="reports/metrics/language_model.json")
def main(language_model: GgufSource) -> Result:
    """Write models/llm; the hash of the weights is among the metrics."""
    return unpack_gguf(language_model, OUT) | {"sha256": file_sha256(OUT / "model.safetensors")}


if __name__ == "__main__":
    run_stage(main)
